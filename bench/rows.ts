import type { Row } from "./Row.ts"
import { busy } from "./rows/busy.ts"
import { catchUp } from "./rows/catchUp.ts"
import { cold } from "./rows/cold.ts"
import { coalescing } from "./rows/coalescing.ts"
import { connections } from "./rows/connections.ts"
import { definitions } from "./rows/definitions.ts"
import { flat } from "./rows/flat.ts"
import { inProcess } from "./rows/inProcess.ts"
import { invalidations } from "./rows/invalidations.ts"
import { l1Hit } from "./rows/l1Hit.ts"
import { l2Hit } from "./rows/l2Hit.ts"
import { leaseCheck } from "./rows/leaseCheck.ts"
import { memory } from "./rows/memory.ts"
import { oxc } from "./rows/oxc.ts"
import { publishBarrier } from "./rows/publishBarrier.ts"
import { reindex } from "./rows/reindex.ts"
import { republish } from "./rows/republish.ts"
import { vite } from "./rows/vite.ts"
import { watcher } from "./rows/watcher.ts"

/** Every row, in the order in which they run. */
export const rows: ReadonlyArray<Row> = [
  l1Hit,
  vite,
  inProcess,
  busy,
  coalescing,
  connections,
  cold,
  oxc,
  l2Hit,
  leaseCheck,
  publishBarrier,
  invalidations,
  catchUp,
  flat,
  republish,
  memory,
  watcher,
  reindex,
  definitions
]
