import { Schema } from "effect"

/**
 * A realm's generation: a counter that only grows, by one per invalidation. Below 2^53, so a plain number is exact.
 * A result computed under an older generation is discarded.
 */
export const Generation = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
export type Generation = typeof Generation.Type
