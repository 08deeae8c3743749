import type { Clock } from "effect"

/** Milliseconds on a clock that nobody sets; only differences mean anything. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
