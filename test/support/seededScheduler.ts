import { Clock, Duration, Effect, type Exit, Random, type Scheduler } from "effect"

/** How a seeded run ended. A run that cannot go on, or does not end, has no exit: something hangs. */
export interface SeededRun<A, E> {
  readonly exit: Exit.Exit<A, E> | undefined
  readonly steps: number
}

/**
 * Runs a program in virtual time under a scheduler that a seed decides: it picks which fiber runs next, and takes the turn
 * away from a fiber before any of its operations with probability `preempt`. The same seed replays the same run. Time
 * jumps to the next timer when nothing can run, so the program must not wait for the outside world.
 */
export const runSeeded = <A, E>(
  seed: number,
  program: Effect.Effect<A, E>,
  { maxSteps = 200_000, preempt = 0.2 }: { readonly maxSteps?: number; readonly preempt?: number } = {}
): SeededRun<A, E> => {
  const random = mulberry32(seed)
  const ready: Array<Dispatcher> = []
  const timers: Array<{ readonly at: number; readonly fire: () => void }> = []
  let now = 0
  let steps = 0
  // Set when a fiber gets its turn: it takes one operation before it may lose it again, or nothing would ever end.
  let fresh = false

  /** Effect makes one for each fiber: in order within a fiber, permuted by the seed against all others. */
  class Dispatcher implements Scheduler.SchedulerDispatcher {
    readonly tasks: Array<() => void> = []
    scheduleTask(task: () => void) {
      if (this.tasks.push(task) === 1) ready.push(this)
    }
    flush() {}
  }

  const scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    makeDispatcher: () => new Dispatcher(),
    shouldYield: () => fresh ? (fresh = false) : random() < preempt
  }

  const millis = () => now
  const nanos = () => BigInt(Math.round(now * 1e6))
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        const timer = { at: now + Duration.toMillis(duration), fire: () => resume(Effect.void) }
        const later = timers.findIndex((other) => other.at > timer.at)
        timers.splice(later < 0 ? timers.length : later, 0, timer)
        return Effect.sync(() => {
          const index = timers.indexOf(timer)
          if (index >= 0) timers.splice(index, 1)
        })
      })
  }

  const fiber = Effect.runFork(
    program.pipe(
      Effect.provideService(Clock.Clock, clock),
      Effect.provideService(Random.Random, {
        nextDoubleUnsafe: random,
        nextIntUnsafe: () => Math.trunc((random() - 0.5) * 2 ** 53)
      })
    ),
    { scheduler }
  )
  while (steps < maxSteps && fiber.pollUnsafe() === undefined) {
    const dispatcher = ready[Math.trunc(random() * ready.length)]
    if (dispatcher === undefined) {
      const timer = timers.shift()
      if (timer === undefined) break
      now = timer.at
      timer.fire()
    } else {
      const task = dispatcher.tasks.shift()
      if (dispatcher.tasks.length === 0) ready.splice(ready.indexOf(dispatcher), 1)
      steps++
      fresh = true
      task?.()
    }
  }
  return { exit: fiber.pollUnsafe(), steps }
}

/** A small generator of numbers from 0 to 1, by Tommy Ettinger. */
const mulberry32 = (seed: number) => () => {
  let t = seed = (seed + 0x6d2b79f5) | 0
  t = Math.imul(t ^ (t >>> 15), t | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
