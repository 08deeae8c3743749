import type { Row } from "./Row.ts"
import { cold } from "./rows/cold.ts"
import { definitions } from "./rows/definitions.ts"
import { l1Hit } from "./rows/l1Hit.ts"
import { l2Hit } from "./rows/l2Hit.ts"

/** Every row, in the order in which they run. */
export const rows: ReadonlyArray<Row> = [l1Hit, cold, l2Hit, definitions]
