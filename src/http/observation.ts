import { Layer } from "effect"
import { EventStreams } from "./EventStreams.ts"
import { Reports } from "./Reports.ts"
import { RealmSizes } from "../realms/RealmSizes.ts"
import { Samples } from "./Samples.ts"
import { Members } from "./Members.ts"

/** What this replica and the others say of themselves. */
export const layerObservation = (basePath: string) =>
  Layer.mergeAll(EventStreams.layer, Reports.layer, RealmSizes.layer).pipe(
    Layer.provide(Samples.layer),
    Layer.provideMerge(Members.layer(basePath))
  )
