import { PgClient, type PgConnection } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { Modules } from "./cache/Modules.ts"
import { SourceCache } from "./cache/SourceCache.ts"
import { SourceMapCache } from "./cache/SourceMapCache.ts"
import { TranspiledModuleCache } from "./cache/TranspiledModuleCache.ts"
import { Barrier } from "./coordination/Barrier.ts"
import { Counters } from "./coordination/Counters.ts"
import { layerEventLog } from "./coordination/EventLog.ts"
import { Generations, type OnPartition } from "./coordination/Generations.ts"
import { Lease } from "./coordination/Lease.ts"
import { LockSession } from "./coordination/LockSession.ts"
import { MemoryBus } from "./coordination/MemoryBus.ts"
import { type Identity, Membership } from "./coordination/Membership.ts"
import { Notifications } from "./coordination/Notifications.ts"
import { PopulateCoordinator } from "./coordination/PopulateCoordinator.ts"
import { Readiness } from "./coordination/Readiness.ts"
import { RealmWriteLock } from "./coordination/RealmWriteLock.ts"
import { JobBell, ReindexQueue } from "./coordination/ReindexQueue.ts"
import { SessionConfig } from "./coordination/SessionConfig.ts"
import { Sessions } from "./coordination/Sessions.ts"
import { DefinitionGuard } from "./definitions/DefinitionGuard.ts"
import { DefinitionLookup } from "./definitions/DefinitionLookup.ts"
import { Dependencies } from "./definitions/Dependencies.ts"
import { ModuleAnalyses } from "./definitions/ModuleAnalyses.ts"
import { ModuleDefinitions } from "./definitions/ModuleDefinitions.ts"
import { ModuleLocator } from "./definitions/ModuleLocator.ts"
import type { RealmUrl } from "./domain/RealmUrl.ts"
import { layerCollector } from "./lifecycle/Collector.ts"
import { Cascade } from "./lifecycle/Cascade.ts"
import { layerFinishBatches } from "./lifecycle/finishBatches.ts"
import { layerFollowEdits } from "./lifecycle/followEdits.ts"
import { Invalidation } from "./lifecycle/Invalidation.ts"
import { layerDefinitionInvalidation } from "./lifecycle/invalidateDefinitions.ts"
import { layerWarmUp } from "./lifecycle/warmUp.ts"
import { RealmFiles, type Roots } from "./realms/RealmFiles.ts"
import { Reconciler } from "./realms/Reconciler.ts"
import { Watcher } from "./realms/Watcher.ts"
import { layerReindex } from "./reindex/ReindexWorker.ts"
import { ArtifactTable } from "./store/ArtifactTable.ts"
import { EncodingTable } from "./store/EncodingTable.ts"
import { FleetSecretTable } from "./store/FleetSecretTable.ts"
import { JobTable } from "./store/JobTable.ts"
import { MemoryDatabase } from "./store/MemoryDatabase.ts"
import { migrate } from "./store/migrations.ts"
import { ModuleTable } from "./store/ModuleTable.ts"
import { ModuleTranspileTable } from "./store/ModuleTranspileTable.ts"
import { PermissionTable } from "./store/PermissionTable.ts"
import { checkPooled } from "./store/pooledLimits.ts"
import { PoolConnections } from "./store/PoolConnections.ts"
import { raiseEpoch } from "./store/raiseEpoch.ts"
import { RealmFileTable } from "./store/RealmFileTable.ts"
import { RealmIndexTable } from "./store/RealmIndexTable.ts"
import { RealmTable } from "./store/RealmTable.ts"
import { RealmVersionTable } from "./store/RealmVersionTable.ts"
import { ReplicaTable } from "./store/ReplicaTable.ts"
import { Transaction } from "./store/Transaction.ts"
import { WriteIntentTable } from "./store/WriteIntentTable.ts"
import {
  type Compiler,
  Transpiler,
  type TranspilerOptions,
  type TranspilerUnavailable
} from "./transpile/Transpiler.ts"

/** What a host or the program decides. */
export interface LockstepOptions extends Roots, Identity {
  /** Base of realm URLs, the same on every replica; ends in a slash. */
  readonly publicUrl: RealmUrl
  /**
   * Bound of L1 in bytes: five sixteenths for transpiled modules and one for their source maps, a quarter each for sources
   * and for finished answers, an eighth for definitions and analyses.
   */
  readonly cacheBytes: number
  readonly transpiler:
    | (TranspilerOptions & {
      /** What makes JavaScript. Replicas that differ in it share no rows. Default `babel`. */
      readonly compiler?: Compiler
    })
    /** One of the host's own: see docs/PRESETS.md. */
    | Layer.Layer<Transpiler, TranspilerUnavailable>
  /**
   * PostgreSQL itself, for the sessions that listen and lock, where the `PgClient` goes through a pooler in transaction
   * mode. Default: what the `PgClient` was given.
   */
  readonly sessionDatabase?: PgConnection.Config
  /** While PostgreSQL cannot be asked: 503 (`refuse`, the default), or memory with a `warning` header. */
  readonly onPartition?: OnPartition
  /** Make invalidations of edits on disk. By default yes, and no in memory. */
  readonly watch?: boolean
  /** Make the modules of a publication before they are asked for. By default yes, and no in memory. */
  readonly warmUp?: boolean
}

const storeSql = Layer.mergeAll(
  ArtifactTable.layer,
  EncodingTable.layer,
  FleetSecretTable.layer,
  JobTable.layer,
  ModuleTable.layer,
  ModuleTranspileTable.layer,
  PermissionTable.layer,
  PoolConnections.layer,
  RealmFileTable.layer,
  RealmIndexTable.layer,
  RealmTable.layer,
  RealmVersionTable.layer,
  ReplicaTable.layer,
  Transaction.layer,
  WriteIntentTable.layer
)

const storeMemory = Layer.mergeAll(
  ArtifactTable.layerMemory,
  EncodingTable.layerMemory,
  FleetSecretTable.layerMemory,
  JobTable.layerMemory,
  ModuleTable.layerMemory,
  ModuleTranspileTable.layerMemory,
  PermissionTable.layerMemory,
  PoolConnections.layerMemory,
  RealmFileTable.layerMemory,
  RealmIndexTable.layerMemory,
  RealmTable.layerMemory,
  RealmVersionTable.layerMemory,
  ReplicaTable.layerMemory,
  Transaction.layerMemory,
  WriteIntentTable.layerMemory
).pipe(Layer.provideMerge(MemoryDatabase.layer))

const coordinationSql = (sessionDatabase: PgConnection.Config | undefined) =>
  Layer.mergeAll(PopulateCoordinator.layer, RealmWriteLock.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(LockSession.layer, Notifications.layer)),
    Layer.provideMerge(Lease.layer),
    Layer.provideMerge(Sessions.layer),
    Layer.provideMerge(sessionDatabase === undefined ? SessionConfig.layer : SessionConfig.layerOf(sessionDatabase))
  )

/** The schema, and behind a pooler the limits that its sessions must have. */
const prepared = (sessionDatabase: PgConnection.Config | undefined) =>
  Layer.effectDiscard(sessionDatabase === undefined ? migrate : Effect.andThen(checkPooled, migrate))

const coordinationMemory = Layer.mergeAll(
  PopulateCoordinator.layerNone,
  RealmWriteLock.layerMemory,
  Notifications.layerMemory
).pipe(
  Layer.provideMerge(Lease.layer),
  Layer.provideMerge(Sessions.layerMemory),
  Layer.provideMerge(MemoryBus.layer)
)

/** What modules export: two caches of this size, and who invalidates them. */
const definitions = (capacityBytes: number) =>
  DefinitionLookup.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(layerDefinitionInvalidation, ModuleDefinitions.layer(capacityBytes))),
    Layer.provideMerge(
      Layer.mergeAll(Cascade.layer, DefinitionGuard.layer, Dependencies.layer, ModuleAnalyses.layer(capacityBytes))
    ),
    Layer.provideMerge(ModuleLocator.layer)
  )

/** Everything above the stores and the coordination: the same for a fleet and for one process. */
const services = (
  options: LockstepOptions,
  { warmUp, watch }: { readonly warmUp: boolean; readonly watch: boolean }
) => {
  const { cacheBytes, publicUrl } = options
  const followEdits = layerFollowEdits(publicUrl).pipe(Layer.provideMerge(Watcher.layer(options)))
  return Layer.mergeAll(
    definitions(Math.ceil(cacheBytes / 16)),
    Reconciler.layer(publicUrl),
    layerCollector(),
    Modules.layer,
    SourceMapCache.layer(Math.ceil(cacheBytes / 16)),
    warmUp ? layerWarmUp : Layer.empty
  ).pipe(
    Layer.provideMerge(TranspiledModuleCache.layer(Math.ceil(cacheBytes * 5 / 16))),
    Layer.provideMerge(watch ? Layer.mergeAll(layerFinishBatches, followEdits) : layerFinishBatches),
    Layer.provideMerge(Layer.mergeAll(Invalidation.layer, SourceCache.layer(Math.ceil(cacheBytes / 4)))),
    Layer.provideMerge(Barrier.layer),
    Layer.provideMerge(
      Layer.mergeAll(
        Generations.layer(options.onPartition),
        JobBell.layer,
        Readiness.layer(options.onPartition),
        RealmFiles.layer(options),
        ReindexQueue.layer
      )
    )
  )
}

/** Who this replica is, and what it has done. */
const identity = (options: LockstepOptions) =>
  Layer.mergeAll(Counters.layer, layerEventLog).pipe(Layer.provideMerge(Membership.layer(options)))

const isLayer = (
  transpiler: LockstepOptions["transpiler"]
): transpiler is Layer.Layer<Transpiler, TranspilerUnavailable> => Layer.isLayer(transpiler)

/** The host's own; or Babel as this door runs it; or oxc, which runs in processes of its own through every door. */
const compiled = (
  { transpiler }: LockstepOptions,
  babel: (options: TranspilerOptions) => Layer.Layer<Transpiler, TranspilerUnavailable>
) => {
  if (isLayer(transpiler)) return transpiler
  const { compiler, ...options } = transpiler
  return compiler === "oxc" ? Transpiler.layerOxc(options) : babel(options)
}

/**
 * For a host that brings its own `PgClient`: every service of Lockstep, on that database, which is migrated first.
 */
export const layer = (options: LockstepOptions) =>
  services(options, { warmUp: options.warmUp ?? true, watch: options.watch ?? true }).pipe(
    Layer.provideMerge(compiled(options, Transpiler.layer)),
    Layer.provideMerge(coordinationSql(options.sessionDatabase)),
    Layer.provideMerge(storeSql),
    Layer.provideMerge(identity(options)),
    Layer.provide(prepared(options.sessionDatabase))
  )

/** For one process without a database: tests and small hosts. Realms are forgotten when it ends; files stay. */
export const layerMemory = (options: LockstepOptions) =>
  services(options, { warmUp: options.warmUp ?? false, watch: options.watch ?? false }).pipe(
    Layer.provideMerge(compiled(options, Transpiler.layerInline)),
    Layer.provideMerge(coordinationMemory),
    Layer.provideMerge(storeMemory),
    Layer.provideMerge(identity(options))
  )

/**
 * A reindex worker that is no replica: it takes jobs from the database, which is migrated first, and asks replicas for
 * everything else. It is no member of the fleet, so no publish waits for it.
 */
export const layerWorkerProgram = (
  { sessionDatabase, ...options }: Parameters<typeof layerReindex>[0] & Pick<LockstepOptions, "sessionDatabase">,
  database: Parameters<typeof PgClient.layer>[0]
) =>
  layerReindex(options).pipe(
    Layer.provide(Layer.mergeAll(
      Counters.layer,
      FleetSecretTable.layer,
      sessionDatabase === undefined
        ? JobBell.layerListener
        : Layer.provide(JobBell.layerListener, PgClient.layer({ ...sessionDatabase, maxConnections: 1 })),
      JobTable.layer,
      RealmIndexTable.layer,
      RealmTable.layer,
      ReplicaTable.layer
    )),
    Layer.provide(prepared(sessionDatabase)),
    Layer.provide(PgClient.layer(database))
  )

/** For the program: `layer` on a pool of its own. */
export const layerProgram = (
  options: LockstepOptions,
  database: Parameters<typeof PgClient.layer>[0]
) => layer(options).pipe(Layer.provideMerge(PgClient.layer(database)))

/**
 * For a database that was restored from a copy of its files while no replica ran, which nobody could notice: raises every
 * generation past any that were issued (I3), and answers of how many realms. Replicas drop what they hold within a lease.
 */
export const raiseGenerationsOf = (database: Parameters<typeof PgClient.layer>[0]) =>
  Effect.andThen(migrate, raiseEpoch).pipe(Effect.provide(PgClient.layer(database)))
