import { Deferred, Effect, Exit, type Scope } from "effect"

export interface BatchOptions<Question, Answer, E> {
  /** Batches under way at a time: the rest of the pool is for others. */
  readonly lanes: number
  /** Questions in a batch. */
  readonly size: number
  /** Answers in the order of the questions. */
  readonly ask: (questions: ReadonlyArray<Question>) => Effect.Effect<ReadonlyArray<Answer>, E>
}

interface Waiting<Question, Answer, E> {
  readonly question: Question
  readonly answer: Deferred.Deferred<Answer, E>
}

/**
 * Asks questions that come together as one, and those that come while all lanes are busy as the next one. Nobody is made to
 * wait for company: a question that comes alone is asked alone, at once. Each is asked after it came (I1).
 */
export const batched = Effect.fnUntraced(function*<Question, Answer, E>(
  { ask, lanes, size }: BatchOptions<Question, Answer, E>
): Effect.fn.Return<(question: Question) => Effect.Effect<Answer, E>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const waiting = new Set<Waiting<Question, Answer, E>>()
  let busy = 0

  const settle = (batch: ReadonlyArray<Waiting<Question, Answer, E>>, exit: Exit.Exit<ReadonlyArray<Answer>, E>) =>
    batch.forEach(({ answer }, index) =>
      Deferred.doneUnsafe(answer, Exit.map(exit, (answers) => answers[index] as Answer))
    )

  /** One lane, until nobody waits. */
  const run = Effect.gen(function*() {
    // Who asks in this turn of the event loop comes along.
    yield* Effect.yieldNow
    while (waiting.size > 0) {
      const batch = Array.from(waiting).slice(0, size)
      for (const each of batch) waiting.delete(each)
      const asked = ask(batch.map(({ question }) => question))
      yield* Effect.exit(Effect.onExit(asked, (exit) => Effect.sync(() => settle(batch, exit))))
    }
  })

  const leave = (exit: Exit.Exit<void>) => {
    busy--
    // Only the end of the scope stops a lane: nobody is left waiting.
    if (Exit.isFailure(exit)) settle(Array.from(waiting), Exit.failCause(exit.cause))
  }

  return (question) =>
    Effect.uninterruptibleMask((restore) => {
      const mine = { question, answer: Deferred.makeUnsafe<Answer, E>() }
      waiting.add(mine)
      const wait = Effect.onInterrupt(
        restore(Deferred.await(mine.answer)),
        () => Effect.sync(() => waiting.delete(mine))
      )
      if (busy >= lanes) return wait
      busy++
      return Effect.flatMap(Effect.forkIn(restore(run), scope), (lane) => {
        // An observer hears of every end, also of a lane that a closed scope did not let start.
        lane.addObserver(leave)
        return wait
      })
    })
})
