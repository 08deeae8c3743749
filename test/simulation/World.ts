import { Effect } from "effect"
import type { RealmView } from "../../src/coordination/Generations.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import type { FenceToken } from "../../src/store/CacheTable.ts"
import { Disk } from "./files.ts"
import { History } from "./History.ts"
import type { Connection } from "./Link.ts"
import { AdvisoryLocks, type IdleSessions } from "./locks.ts"
import { Channels } from "./notifications.ts"
import type { Plan } from "./Plan.ts"
import { type Commit, Postgres } from "./Postgres.ts"
import { Replica } from "./Replica.ts"
import type { Process, Simulation } from "./Simulation.ts"
import { Truth } from "./Truth.ts"

export const publicUrl = "http://sim.test/" as RealmUrl
export const sourceUrl = `${publicUrl}source/` as RealmUrl
export const publishedUrls = ["one", "two", "three", "four"].map((name) => `${publicUrl}${name}/` as RealmUrl)

/** A computation that is under way. It may be held up, and ended by whoever holds it. */
export class Work {
  readonly process: Process
  readonly realmUrl: RealmUrl
  readonly path: string
  readonly generation: number
  isHeld = false
  #resume: (() => void) | undefined
  #isDone = false

  constructor(process: Process, realmUrl: RealmUrl, path: string, generation: number) {
    this.process = process
    this.realmUrl = realmUrl
    this.path = path
    this.generation = generation
  }

  last(millis: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.#resume = () => resume(Effect.void)
      if (this.#isDone) return this.#resume()
      const cancel = this.process.after(millis, () => {
        if (!this.isHeld) resume(Effect.void)
      })
      return Effect.sync(cancel)
    })
  }

  hold(): void {
    this.isHeld = true
  }

  end(): void {
    this.#isDone = true
    this.process.after(0, () => this.#resume?.())
  }
}

/** Everything outside of the replicas, and the replicas. */
export class World {
  readonly simulation: Simulation
  readonly plan: Plan
  readonly server: Process
  readonly postgres: Postgres
  readonly channels: Channels
  readonly locks = new AdvisoryLocks()
  readonly idle: IdleSessions = { locks: new Set<Connection>(), writes: new Set<Connection>() }
  readonly disk = new Disk()
  readonly history: History
  readonly replicas: Array<Replica> = []
  readonly truths = new Map<string, Truth>()
  /** Told of each commit that moves a realm, before its reply is sent. */
  onCommit: (commit: Commit) => void = () => {}
  /** The realm that was changed last: readers prefer it. */
  hot = sourceUrl
  /** The place where writers like best to write, if there is one. */
  favourite: number | undefined
  /** A path of the source that writers like best to write, if there is one. */
  wanted: string | undefined
  /** The realm that was published last: publishers prefer it. */
  hotTarget = sourceUrl
  /** Told of each copy of the source that begins. */
  onCopying: (process: Process) => void = () => {}
  /** Told of each computation of a file of the source that begins. */
  onWork: (work: Work) => void = () => {}
  /** Told of each computation whose path was buried while it was under way. */
  onOutlived: (work: Work) => void = () => {}
  readonly #works = new Set<Work>()
  #boots = 0
  // The last change of each path that a process has made on disk.
  readonly #changes = new Map<Process | undefined, Map<string, number>>()

  constructor(simulation: Simulation, plan: Plan, history: History) {
    this.simulation = simulation
    this.plan = plan
    this.history = history
    this.server = simulation.process("server", plan.clock())
    this.postgres = new Postgres(simulation)
    this.channels = new Channels(simulation, plan.mishaps)
    this.disk.failing = plan.failingFiles
    this.disk.slow = plan.slowFiles
    this.postgres.onCommit = (commit) => this.#committed(commit)
    this.disk.onChange = (process, path, isTorn) => {
      const files = this.disk.textsOf("source home")
      const how = process === undefined ? "edited" : isTorn ? "torn" : "whole"
      const state = this.truth(sourceUrl).changed(simulation.now, files ?? new Map(), how)
      const changes = this.#changes.get(process) ?? new Map<string, number>()
      this.#changes.set(process, changes.set(path, state))
    }
    this.disk.onCopying = (process, directory) => {
      this.disk.copiedSince.set(directory, this.truth(sourceUrl).states.length - 1)
      this.onCopying(process)
    }
    this.hotTarget = simulation.pick(publishedUrls)
    this.favourite = plan.opposed ? 0 : undefined
    this.#begin()
  }

  truth(realmUrl: string): Truth {
    const truth = this.truths.get(realmUrl) ?? new Truth(realmUrl === sourceUrl)
    this.truths.set(realmUrl, truth)
    return truth
  }

  /** Starts a process at this place of the fleet. */
  boot(place: number): Replica {
    const { leases, onPartition, twins } = this.plan
    const replica = new Replica(this, {
      place,
      replicaId: twins && place < 2 ? "twin" : `replica ${place}`,
      leaseMillis: leases[place] ?? 1_000,
      onPartition
    }, this.#boots++)
    this.replicas[place] = replica
    return replica
  }

  /** Milliseconds that a transpile takes. */
  readonly #workMillis = () => {
    const { simulation } = this
    return simulation.strikes("transpiles slow", this.plan.slowWork)
      ? simulation.between(300, 2_500)
      : simulation.between(1, 20)
  }

  readonly work: Effect.Effect<void> = Effect.suspend(() => Effect.sleep(this.#workMillis()))

  /** One computation of the fenced cache (I5): it reads, and then works on what it has read. */
  execution<A, E>(process: Process, view: RealmView, path: string, read: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const { generation, realmUrl } = view.row
      const ended = this.history.executions.began(realmUrl, path, generation)
      const work = new Work(process, realmUrl, path, generation)
      this.#works.add(work)
      if (realmUrl === sourceUrl) this.onWork(work)
      return Effect.onExit(Effect.tap(read, () => work.last(this.#workMillis())), (exit) =>
        Effect.sync(() => {
          this.#works.delete(work)
          ended(exit._tag === "Success")
        }))
    })
  }

  /** Watches one write of the fenced cache (I5). */
  written<E>(realmUrl: string, path: string, token: FenceToken, write: Effect.Effect<boolean, E>) {
    return Effect.onExit(write, (exit) =>
      Effect.sync(() => {
        const outcome = exit._tag === "Failure" ? "failed" : exit.value ? "accepted" : "refused"
        this.history.executions.written(realmUrl, path, token.generation, outcome)
      }))
  }

  #begin(): void {
    for (const path of ["a.ts", "b.ts", "c.ts"]) this.disk.write(undefined, "source home", path, `${path} 0`)
    this.postgres.write(this.server, undefined, (tables) => {
      tables.realms.set(sourceUrl, {
        realmUrl: sourceUrl,
        generation: 1,
        state: "live",
        directory: "home",
        wipeFloor: 1,
        definitionFloor: 1,
        kind: "source",
        sourceUrl: null,
        lastPublishedAt: null,
        isPrivate: false
      })
      tables.moves.set(sourceUrl, 1)
    }, () => {})
  }

  #committed(commit: Commit): void {
    const { history, simulation } = this
    for (const row of commit.realms) {
      const truth = this.truth(row.realmUrl)
      if (row.generation <= truth.generation) {
        history.violated("I3", `${row.realmUrl} was committed at ${row.generation} after ${truth.generation}`)
      }
      const buried = commit.buried.filter((each) => each.realmUrl === row.realmUrl).map((each) => each.path)
      const files = row.state === "live" ? this.disk.textsOf(`${row.kind} ${row.directory}`) : undefined
      if (row.state === "live" && files === undefined) {
        history.violated("I4", `${row.realmUrl} was committed at ${row.generation} without its files`)
      }
      const copied = row.kind === "published" ? files : undefined
      if (
        copied !== undefined && !this.truth(sourceUrl).wasWhole(copied, this.disk.copiedSince.get(row.directory) ?? 0)
      ) {
        history.violated("I4", `${row.realmUrl} was committed at ${row.generation} as its source never was`)
      }
      truth.commit(simulation.now, row, files, buried, new Map(this.#changes.get(commit.owner)))
      history.committed(row, buried, commit.owner.name)
      for (const work of this.#works) {
        const isBuried = work.realmUrl === row.realmUrl && work.generation < row.generation &&
          buried.includes(work.path)
        if (isBuried) this.onOutlived(work)
      }
    }
    this.onCommit(commit)
  }
}
