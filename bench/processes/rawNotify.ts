/** The least that telling another replica can cost: NOTIFY over one connection, and the answer to it over another. */
import { PgConnection } from "@effect/sql-pg"
import { Effect, Queue, Redacted, type Scope } from "effect"
import { answerParent } from "./answerParent.ts"

export interface RoundTrips {
  readonly databaseUrl: string
  readonly times: number
}

const measure = Effect.fnUntraced(function*({ databaseUrl, times }: RoundTrips) {
  const open = Effect.flatMap(PgConnection.make({ url: Redacted.make(databaseUrl) }), (connection) => connection.pin)
  const here = yield* open
  const there = yield* open
  const questions = yield* there.listen("question")
  const answers = yield* here.listen("answer")
  const echo = Effect.andThen(Queue.take(questions), there.query("SELECT pg_notify('answer', '')", []))
  yield* Effect.forkScoped(Effect.forever(echo))
  const millis = new Array<number>()
  for (let index = 0; index < times; index++) {
    const from = performance.now()
    yield* here.query("SELECT pg_notify('question', '')", [])
    yield* Queue.take(answers)
    millis.push(performance.now() - from)
  }
  return millis
})

answerParent((request: RoundTrips): Promise<ReadonlyArray<number>> =>
  Effect.runPromise(Effect.scoped(measure(request) as Effect.Effect<ReadonlyArray<number>, unknown, Scope.Scope>))
)
