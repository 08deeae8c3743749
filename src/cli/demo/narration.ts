import { Clock, Console, Effect } from "effect"
import { TerminalCapabilities } from "effect/cli"

/** Tells what happens, in numbered steps with their times; in colour on a terminal. */
export const makeNarration = Effect.gen(function*() {
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const paint = (code: number) => (text: string) => canColor ? `\u001b[${code}m${text}\u001b[0m` : text
  const [bold, dim, green, red] = [paint(1), paint(2), paint(32), paint(31)]
  let steps = 0
  const say = (text: string) => Console.log(text.replace(/^(?=.)/gm, "   "))
  return {
    bold,
    dim,
    green,
    red,
    title: (text: string) => Console.log(bold(text)),
    say,
    verdict: (text: string) => Console.log(`\n${text}`),
    /** Runs a step under its heading, and says how long it took. */
    step: <A, E, R>(heading: string, work: Effect.Effect<A, E, R>) =>
      Effect.gen(function*() {
        steps += 1
        yield* Console.log(`\n${bold(`${steps}. ${heading}`)}`)
        const began = yield* Clock.currentTimeMillis
        const result = yield* work
        yield* say(dim(`${(((yield* Clock.currentTimeMillis) - began) / 1000).toFixed(1)} s`))
        return result
      })
  }
})

export type Narration = Effect.Success<typeof makeNarration>
