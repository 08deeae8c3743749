import { Clock, Context, Duration, Effect, type Exit, type Fiber, Random, References, Scheduler } from "effect"
import { type Fault, noFaults } from "./Tally.ts"
import { Timers } from "./Timers.ts"

/**
 * Virtual time and virtual processes on one seed. The seed decides which fiber of which process runs next, takes the turn
 * away from a fiber at any of its operations, and draws every delay and fault. Time jumps to the next timer when nothing
 * can run. One seed is one run: `hash` stands for all that happened.
 */
export class Simulation {
  /** Milliseconds of true time, which no process can read. */
  now = 0
  steps = 0
  hash = 0x811c9dc5
  /** How likely a fiber loses its turn at an operation. */
  preempt = 0.05
  readonly tally = noFaults()
  readonly #ready: Array<Mailbox> = []
  readonly #timers = new Timers()
  #processes = 0
  #state: number

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 0
  }

  /** Mulberry32, by Tommy Ettinger: from 0 to 1. */
  readonly random = (): number => {
    let t = this.#state = (this.#state + 0x6d2b79f5) | 0
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  chance(probability: number): boolean {
    return probability > 0 && this.random() < probability
  }

  between(least: number, most: number): number {
    return least + this.random() * (most - least)
  }

  pick<A>(all: ReadonlyArray<A>): A {
    return all[Math.trunc(this.random() * all.length)] as A
  }

  /** Counts a fault that happened. */
  befell(fault: Fault): void {
    this.tally[fault]++
  }

  /** Draws whether this fault happens, and counts it if so. */
  strikes(fault: Fault, probability: number): boolean {
    if (!this.chance(probability)) return false
    this.tally[fault]++
    return true
  }

  /** Calls `fire` after true milliseconds, whatever any process does meanwhile. Answers how to call it off. */
  after(millis: number, fire: () => void): () => void {
    return this.#timers.add(this.now + millis, fire)
  }

  process(name: string, clock: Partial<ClockFault> = {}): Process {
    return new Process(this, name, this.#processes++, { rate: 1, offset: 0, ...clock })
  }

  /** Makes the run's hash depend on this. */
  mix(value: number): void {
    this.hash = Math.imul(this.hash ^ value, 16777619) >>> 0
  }

  ready(mailbox: Mailbox): void {
    this.#ready.push(mailbox)
  }

  unready(process: Process): ReadonlyArray<Mailbox> {
    const removed = this.#ready.filter((mailbox) => mailbox.process === process)
    if (removed.length > 0) {
      const kept = this.#ready.filter((mailbox) => mailbox.process !== process)
      this.#ready.length = 0
      this.#ready.push(...kept)
    }
    return removed
  }

  /** Runs until nothing is left to do before `until`. */
  run(until: number, maxSteps = 2_000_000): void {
    while (true) {
      const count = this.#ready.length
      if (count > 0) {
        if (++this.steps > maxSteps) throw new Error(`the run has not ended after ${maxSteps} steps`)
        const index = count === 1 ? 0 : Math.trunc(this.random() * count)
        if (index > 0) this.tally["fibers permuted"]++
        const mailbox = this.#ready[index] as Mailbox
        if (mailbox.length === 1) {
          this.#ready[index] = this.#ready[count - 1] as Mailbox
          this.#ready.pop()
        }
        this.mix(mailbox.process.index + 1 + Math.trunc(this.now * 1000))
        mailbox.step()
      } else {
        const timer = this.#timers.takeBefore(until)
        if (timer === undefined) {
          this.now = until
          return
        }
        this.now = timer.at
        timer.fire()
      }
    }
  }
}

/** How a process's clocks differ from true time. */
export interface ClockFault {
  /** How fast both clocks run. */
  readonly rate: number
  /** What the wall clock is ahead, in milliseconds. */
  offset: number
}

/** One virtual operating-system process: its scheduler, its clocks, and whether it runs. */
export class Process {
  state: "up" | "paused" | "dead" = "up"
  readonly simulation: Simulation
  readonly name: string
  readonly index: number
  readonly clock: Clock.Clock
  /** Set when a fiber gets its turn: it takes one operation before it may lose it again, or nothing would ever end. */
  fresh = false
  #parked: Array<Mailbox> = []
  readonly #fault: ClockFault
  /** What every fiber of this process runs with. */
  readonly context: Context.Context<never>

  constructor(simulation: Simulation, name: string, index: number, fault: ClockFault) {
    this.simulation = simulation
    this.name = name
    this.index = index
    this.#fault = fault
    const monotonic = () => BigInt(Math.round(simulation.now * fault.rate * 1e6))
    const wall = () => simulation.now * fault.rate + fault.offset
    const wallNanos = () => BigInt(Math.round(wall() * 1e6))
    this.clock = {
      currentTimeMillisUnsafe: wall,
      currentTimeMillis: Effect.sync(wall),
      currentTimeNanosUnsafe: wallNanos,
      currentTimeNanos: Effect.sync(wallNanos),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration) =>
        Effect.callback<void>((resume) => {
          const cancel = this.after(Duration.toMillis(duration) / fault.rate, () => resume(Effect.void))
          return Effect.sync(cancel)
        })
    }
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      makeDispatcher: () => new Mailbox(this),
      shouldYield: () => {
        if (this.fresh) return this.fresh = false
        return simulation.strikes("fibers preempted", simulation.preempt)
      }
    }
    this.context = Context.empty().pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(Clock.Clock, this.clock),
      Context.add(Random.Random, {
        nextDoubleUnsafe: simulation.random,
        nextIntUnsafe: () => Math.trunc((simulation.random() - 0.5) * 2 ** 53)
      }),
      Context.add(References.MinimumLogLevel, "None"),
      Context.add(References.TracerEnabled, false)
    )
    if (fault.rate !== 1) simulation.befell("clocks drifting")
    if (fault.offset !== 0) simulation.befell("clocks skewed")
  }

  /** Steps the wall clock, as an operator or a time server does. */
  stepWallClock(millis: number): void {
    this.#fault.offset += millis
  }

  /** Calls `fire` in this process after true milliseconds; later if it is paused then, never if it is dead. */
  after(millis: number, fire: () => void): () => void {
    return this.simulation.after(millis, () => {
      if (this.state === "up") fire()
      else if (this.state === "paused") new Mailbox(this).scheduleTask(fire)
    })
  }

  /** Starts a program, once this process runs; answers how to interrupt it from within this process. */
  fork<A, E, R>(
    services: Context.Context<R>,
    program: Effect.Effect<A, E, R>,
    ended: (exit: Exit.Exit<A, E>) => void
  ): { readonly interrupt: () => void } {
    let fiber: Fiber.Fiber<A, E> | undefined
    let isWanted = true
    const start = () => {
      if (!isWanted) return
      fiber = Effect.runForkWith(services)(program)
      fiber.addObserver(ended)
    }
    if (this.state === "paused") new Mailbox(this).scheduleTask(start)
    else start()
    return {
      interrupt: () =>
        this.after(0, () => {
          isWanted = false
          fiber?.interruptUnsafe()
        })
    }
  }

  post(mailbox: Mailbox): void {
    if (this.state === "up") this.simulation.ready(mailbox)
    else if (this.state === "paused") this.#parked.push(mailbox)
  }

  /** SIGSTOP: time goes on, timers and packets queue up. */
  pause(): void {
    if (this.state !== "up") return
    this.state = "paused"
    this.#parked.push(...this.simulation.unready(this))
  }

  /** SIGCONT. */
  resume(): void {
    if (this.state !== "paused") return
    this.state = "up"
    for (const mailbox of this.#parked.splice(0)) this.simulation.ready(mailbox)
  }

  /** SIGKILL: no finalizer runs. */
  kill(): void {
    this.state = "dead"
    this.simulation.unready(this)
    this.#parked = []
  }
}

/** The tasks of one fiber: in order among themselves, permuted by the seed against all others. */
class Mailbox implements Scheduler.SchedulerDispatcher {
  readonly process: Process
  #tasks: Array<() => void> = []

  constructor(process: Process) {
    this.process = process
  }

  get length(): number {
    return this.#tasks.length
  }

  scheduleTask(task: () => void): void {
    if (this.#tasks.push(task) === 1) this.process.post(this)
  }

  step(): void {
    this.process.fresh = true
    this.#tasks.shift()?.()
  }

  flush(): void {}
}
