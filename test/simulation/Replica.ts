import { Context, Effect, Layer, Option, Result } from "effect"
import { Access } from "../../src/access/Access.ts"
import { type CacheKey, type CoherentCache, make } from "../../src/cache/CoherentCache.ts"
import { SourceCache } from "../../src/cache/SourceCache.ts"
import { TranspiledModuleCache } from "../../src/cache/TranspiledModuleCache.ts"
import { Barrier } from "../../src/coordination/Barrier.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { Generations, type OnPartition } from "../../src/coordination/Generations.ts"
import { Lease } from "../../src/coordination/Lease.ts"
import { Membership } from "../../src/coordination/Membership.ts"
import { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import { ReindexQueue } from "../../src/coordination/ReindexQueue.ts"
import type { FileFailure, FileNotFound } from "../../src/domain/errors.ts"
import { Invalidation } from "../../src/lifecycle/Invalidation.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { ArtifactTable } from "../../src/store/ArtifactTable.ts"
import { EncodingTable } from "../../src/store/EncodingTable.ts"
import { FleetSecretTable } from "../../src/store/FleetSecretTable.ts"
import { emptyRow, ModuleTable } from "../../src/store/ModuleTable.ts"
import { RealmIndexTable } from "../../src/store/RealmIndexTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { PermissionTable } from "../../src/store/PermissionTable.ts"
import { RealmFileTable } from "../../src/store/RealmFileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { WriteIntentTable } from "../../src/store/WriteIntentTable.ts"
import { layerDatabase, layerForgetting, layerRealmReadings, withServerClock } from "./database.ts"
import { layerFiles } from "./files.ts"
import { Link } from "./Link.ts"
import { layerLockSession, layerRealmWriteLock } from "./locks.ts"
import { layerNotifications } from "./notifications.ts"
import { layerSessions } from "./sessions.ts"
import type { Process } from "./Simulation.ts"
import { layerTranspiler } from "./transpiler.ts"
import type { World } from "./World.ts"

/** What one replica of the simulated fleet is told to be. */
export interface Identity {
  /** Its place in the fleet; what is started there again is another process at the same address. */
  readonly place: number
  readonly replicaId: string
  readonly leaseMillis: number
  readonly onPartition: OnPartition
}

/**
 * A cache of whole files on the engine alone: its values do not know what they were made from, so nothing but fences,
 * floors and tombstones keeps what is old from being served.
 */
export class FencedCache
  extends Context.Service<FencedCache, CoherentCache<CacheKey, string, FileNotFound | FileFailure>>()(
    "lockstep/simulation/FencedCache"
  )
{}

const layerFenced = (world: World, process: Process) =>
  Layer.effect(
    FencedCache,
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const table = yield* ModuleTable
      return yield* make<CacheKey, string, FileNotFound | FileFailure, never>({
        flow: "fenced",
        capacityBytes: 1_000_000,
        sizeOf: () => 100,
        coordinator: yield* PopulateCoordinator,
        counters: yield* Counters,
        compute: ({ path, view }) =>
          world.execution(
            process,
            view,
            path,
            Effect.map(files.read(view.row, path), ({ bytes }) => Buffer.from(bytes).toString())
          ),
        shared: {
          read: (realmUrl, path, key) =>
            Effect.map(
              table.read(realmUrl, path, key),
              Option.map(({ definitions }) => definitions[0]?.name ?? "")
            ),
          write: (realmUrl, path, key, token, value) =>
            world.written(
              realmUrl,
              path,
              token,
              table.write(realmUrl, path, key, token, {
                ...emptyRow,
                definitions: [{
                  name: value,
                  kind: "constant",
                  declared: { module: realmUrl + path, name: value },
                  line: 1
                }]
              })
            )
        }
      })
    })
  )

/** The service graph of one replica, as `Lockstep.layer` wires it, on stand-ins for everything outside of the process. */
const graph = (world: World, process: Process, link: Link, identity: Identity) => {
  const { channels, disk, idle, locks, postgres, simulation } = world
  const store = Layer.mergeAll(
    JobTable.layerMemory,
    RealmIndexTable.layerMemory,
    ArtifactTable.layerMemory,
    EncodingTable.layerMemory,
    FleetSecretTable.layerMemory,
    ModuleTable.layerMemory,
    ModuleTranspileTable.layerMemory,
    PermissionTable.layerMemory,
    RealmFileTable.layerMemory,
    RealmTable.layerMemory,
    Layer.provide(withServerClock(world.server.clock), RealmVersionTable.layerMemory),
    ReplicaTable.layerMemory,
    Transaction.layerMemory,
    WriteIntentTable.layerMemory
  ).pipe(Layer.provide(layerDatabase(link, postgres, world.plan.slowWrites)))

  const coordination = PopulateCoordinator.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(
      layerLockSession(link, locks, channels, idle),
      layerNotifications(link, channels),
      layerRealmWriteLock(link, locks, idle)
    )),
    Layer.provideMerge(Lease.layer),
    Layer.provideMerge(layerSessions(link, postgres, channels))
  )

  return Layer.mergeAll(
    Access.layer("127.0.0.1"),
    Invalidation.layer,
    SourceCache.layer(1_000_000),
    TranspiledModuleCache.layer(1_000_000),
    layerFenced(world, process)
  ).pipe(
    Layer.provideMerge(Layer.provide(Barrier.layer, layerForgetting)),
    Layer.provideMerge(Layer.mergeAll(
      Layer.provide(Generations.layer(identity.onPartition), layerRealmReadings),
      layerFiles(simulation, process, disk),
      ReindexQueue.layer
    )),
    Layer.provideMerge(layerTranspiler(world)),
    Layer.provideMerge(coordination),
    Layer.provideMerge(store),
    Layer.provideMerge(Layer.mergeAll(
      Counters.layer,
      Membership.layer({ ...identity, advertiseUrl: `http://${identity.replicaId}/` })
    ))
  )
}

type Services = Layer.Success<ReturnType<typeof graph>>

/** One process of the fleet. Requests reach it once its services are built. */
export class Replica {
  readonly identity: Identity
  readonly process: Process
  readonly link: Link
  /** Told to end: its requests may be cut off. */
  isEnding = false
  readonly #world: World
  #services: Context.Context<Services> | undefined
  readonly #main: { readonly interrupt: () => void }

  constructor(world: World, identity: Identity, boot: number) {
    const { plan, simulation } = world
    this.#world = world
    this.identity = identity
    this.process = simulation.process(`replica ${identity.place} boot ${boot}`, plan.clock(identity.place))
    this.link = new Link(simulation, this.process, plan.weather)
    this.#main = this.process.fork(
      this.process.context,
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(graph(world, this.process, this.link, identity))),
        (services) => {
          this.#services = Context.merge(this.process.context, services)
          return Effect.never
        }
      )),
      () => {
        // A clean stop: the process is gone when its services have ended.
        this.kill()
      }
    )
  }

  get isServing(): boolean {
    return this.#services !== undefined && this.process.state !== "dead"
  }

  get counters(): Counters["Service"] | undefined {
    return this.#services === undefined ? undefined : Context.get(this.#services, Counters)
  }

  get holdsLease(): boolean {
    return this.#services !== undefined && Context.get(this.#services, Lease).isHeld()
  }

  /** Runs a request in this process; nobody answers if it is not serving. */
  handle<A, E>(
    program: Effect.Effect<A, E, Services>,
    answered: (result: Result.Result<A, E | "died" | "interrupted">) => void
  ): { readonly interrupt: () => void } | undefined {
    const services = this.#services
    if (services === undefined || this.process.state === "dead") return undefined
    let isWanted = true
    const request = this.process.fork(services, program, (exit) => {
      if (exit._tag === "Success") return answered(Result.succeed(exit.value))
      const failure = exit.cause.reasons.find((reason) => reason._tag !== "Interrupt")
      if (failure === undefined) {
        if (isWanted && !this.isEnding) {
          this.#world.history.violated("I7", `${this.process.name} interrupted a request that somebody waits for`)
        }
        return answered(Result.fail("interrupted"))
      }
      if (failure._tag === "Fail") return answered(Result.fail(failure.error))
      const { defect } = failure
      const detail = defect instanceof Error ? defect.stack ?? defect.message : String(defect)
      this.#world.history.violated("I7", `a request died on ${this.process.name}: ${detail}`)
      answered(Result.fail("died"))
    })
    return {
      interrupt: () => {
        isWanted = false
        request.interrupt()
      }
    }
  }

  /** SIGTERM. */
  stop(): void {
    this.isEnding = true
    this.#main.interrupt()
  }

  /** SIGKILL: the server finds the connections ended. */
  kill(): void {
    this.process.kill()
    for (const connection of Array.from(this.link.connections)) connection.end()
  }
}
