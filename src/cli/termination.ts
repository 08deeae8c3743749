import { constants } from "node:os"
import { Cause, Duration, Effect, Exit, Runtime } from "effect"

// The embedded database and the open connections have shorter deadlines of their own: this one is the last resort.
const drainDeadline = Duration.millis(8500)

// What a balancer is given to notice first.
let drainDelay = Duration.zero

/** A server that was told to go on serving for a while after the signal gets that much longer. */
export const allowDrainDelay = (delay: Duration.Duration) => {
  drainDelay = delay
}

// Of Ctrl-C a terminal tells npm and its child, and npm tells the child again: two signals, one wish.
const sameWish = "1 second"

// What a command that a signal has ended says to its shell; a server, for which that is success, has set its exit code.
let killedBy: number | undefined

/**
 * Bounds what follows the first SIGINT or SIGTERM, which the runtime turns into an interruption: whatever still runs
 * after 9.5 s, and the drain delay, is abandoned, and a second signal ends the process at once.
 */
export const boundTermination = () => {
  let signals = 0
  let impatient = false
  const onSignal = (signal: "SIGINT" | "SIGTERM") => {
    const killed = 128 + constants.signals[signal]
    signals += 1
    killedBy ??= killed
    // Only what drains, a server, is started by npm and has that much to lose.
    impatient ||= signals > 1 && process.exitCode === undefined
    if (impatient) process.exit(killed)
    if (signals > 1) return
    Effect.runFork(Effect.gen(function*() {
      yield* Effect.sleep(sameWish)
      impatient = true
      yield* Effect.sleep(Duration.sum(drainDelay, drainDeadline))
      process.exit(process.exitCode ?? killed)
    }))
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
}

/** Like the runtime's own, but a command that is interrupted may have set `process.exitCode`: for `serve` a signal is success. */
export const teardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
    ? onExit(Number(process.exitCode ?? killedBy ?? 130))
    : Runtime.defaultTeardown(exit, onExit)

/** A reader that goes away (`lockstep realms | head -1`) is no failure. */
export const ignoreClosedPipes = () => {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error
    })
  }
}
