import { Context, type Effect } from "effect"
import type { CommitConflict, DatabaseError, LockTimeout, RealmNotFound } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"

/** Why definitions could not be invalidated; nothing was changed in that realm. */
export type InvalidationFailure = CommitConflict | DatabaseError | LockTimeout | RealmNotFound

/** What definitions ask of the one invalidation path (S23), which lies above them: only it moves a generation. */
export class DefinitionInvalidation extends Context.Service<DefinitionInvalidation, {
  /** Voids modules of a realm, under all names that the paths may stand for, and what depends on them, everywhere. */
  readonly modules: (realmUrl: RealmUrl, paths: ReadonlyArray<string>) => Effect.Effect<void, InvalidationFailure>
  /** Voids every definition of a realm. */
  readonly realm: (realmUrl: RealmUrl) => Effect.Effect<void, InvalidationFailure>
  /** Voids every definition of every realm. */
  readonly everything: Effect.Effect<void, InvalidationFailure>
}>()("lockstep/definitions/DefinitionInvalidation") {}
