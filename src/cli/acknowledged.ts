import type { Replicas } from "../api/Api.ts"

/** How far a change has come, for people. */
export const acknowledged = ({ acked, live }: typeof Replicas.Type): string =>
  acked === live
    ? `(on ${live === 1 ? "the only replica" : `all ${live} replicas`})`
    : `(on ${acked} of ${live} replicas; the others have lost their permission to answer from before it)`
