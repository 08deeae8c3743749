/**
 * Lockstep serves transpiled ES modules from many replicas as if they were one. This is the whole public door: the
 * service graph in three layers, its services and their errors, and the programs over them.
 */
export {
  layer,
  layerMemory,
  layerProgram,
  layerWorkerProgram,
  type LockstepOptions,
  raiseGenerationsOf
} from "./Lockstep.ts"

export { CodeRef } from "./domain/CodeRef.ts"
export {
  type Decorator,
  Definition,
  DefinitionFault,
  type DefinitionKind,
  ExportResult,
  type InitialCall,
  isFault,
  Member,
  type MemberKind,
  SourceRef,
  SuperClass
} from "./domain/Definition.ts"
export * from "./domain/errors.ts"
export { Generation } from "./domain/Generation.ts"
export * as ModulePath from "./domain/ModulePath.ts"
export * as RealmUrl from "./domain/RealmUrl.ts"

export { type Acknowledgement, Barrier } from "./coordination/Barrier.ts"
export { Counters } from "./coordination/Counters.ts"
export { type Change, Generations, type RealmView } from "./coordination/Generations.ts"
export { Lease } from "./coordination/Lease.ts"
export { type Identity, Membership } from "./coordination/Membership.ts"
export { Notifications } from "./coordination/Notifications.ts"
export { PopulateCoordinator } from "./coordination/PopulateCoordinator.ts"
export { Readiness } from "./coordination/Readiness.ts"
export { RealmWriteLock } from "./coordination/RealmWriteLock.ts"
export { JobBell, ReindexQueue } from "./coordination/ReindexQueue.ts"
export { SessionConfig } from "./coordination/SessionConfig.ts"

export * as ArtifactCache from "./cache/ArtifactCache.ts"
export * as CoherentCache from "./cache/CoherentCache.ts"
export { type ModuleFailure, Modules } from "./cache/Modules.ts"
export { SourceCache, type SourceFile } from "./cache/SourceCache.ts"
export { type ModuleSourceMap, SourceMapCache } from "./cache/SourceMapCache.ts"
export { type TranspiledModule, TranspiledModuleCache } from "./cache/TranspiledModuleCache.ts"
export type { InvalidationFailure } from "./definitions/DefinitionInvalidation.ts"
export { type BatchQuery, type DefinitionEntry, DefinitionLookup, type Scoped } from "./definitions/DefinitionLookup.ts"
export type { DefinitionFailure } from "./definitions/ModuleDefinitions.ts"
export { babelOptions } from "./transpile/babelOptions.ts"
export * from "./transpile/Transpiler.ts"

export { type Operation, type Outcome, RealmFiles } from "./realms/RealmFiles.ts"
export { Reconciler } from "./realms/Reconciler.ts"
export { Watcher } from "./realms/Watcher.ts"

export { type CreateRequest, createRealm } from "./lifecycle/create.ts"
export { finishBatches } from "./lifecycle/finishBatches.ts"
export { Invalidation, type Target, type Wait } from "./lifecycle/Invalidation.ts"
export { noticeEdits } from "./lifecycle/notice.ts"
export { publish, type PublishRequest } from "./lifecycle/publish.ts"
export { deleteRealm, unpublish } from "./lifecycle/retire.ts"
export { deleteAllFiles, deleteFile, editAtomically, type Expectation, putFile } from "./lifecycle/write.ts"

export { type ChromiumOptions, layerChromium } from "./reindex/chromium/layer.ts"
export { layerIsolated } from "./reindex/isolated/layer.ts"
export * from "./reindex/Prerenderer.ts"
export { layerReindex, type WorkerOptions } from "./reindex/ReindexWorker.ts"

export { Access, type AccessOptions } from "./access/Access.ts"
export { type Principal } from "./access/Principal.ts"
export { type UserTokensOptions } from "./access/UserTokens.ts"
export { Api } from "./api/Api.ts"
export { LockstepApi } from "./api/RealmApi.ts"
export { defineConfig, type LockstepConfig } from "./cli/config/LockstepConfig.ts"
export { layerRoutes, type RoutesOptions } from "./http/routes.ts"
export { layerHttp, Listening } from "./http/server.ts"
export { changeAccess } from "./lifecycle/changeAccess.ts"
export { RealmLimits } from "./lifecycle/RealmLimits.ts"
export { EmbeddedPostgres } from "./postgres/EmbeddedPostgres.ts"
