import { Effect, Schema } from "effect"

export class NeverCame extends Schema.TaggedError<NeverCame>("lockstep/test/NeverCame")("NeverCame", {
  what: Schema.String,
  last: Schema.Unknown
}) {
  override get message() {
    return `${this.what} did not come true; last seen: ${JSON.stringify(this.last)}`
  }
}

/** Looks again and again, 5 ms apart, until what it sees is as it should be. */
export const eventually = <A, E, R>(
  what: string,
  look: Effect.Effect<A, E, R>,
  holds: (seen: A) => boolean,
  deadlineMillis = 60_000
): Effect.Effect<A, E | NeverCame, R> =>
  Effect.gen(function*() {
    const deadline = performance.now() + deadlineMillis
    while (true) {
      const seen = yield* look
      if (holds(seen)) return seen
      if (performance.now() > deadline) return yield* new NeverCame({ what, last: seen })
      yield* Effect.sleep("5 millis")
    }
  })
