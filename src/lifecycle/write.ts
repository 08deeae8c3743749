import { Effect, Option, Result } from "effect"
import { InvalidInput, PreconditionFailed } from "../domain/errors.ts"
import { isHidden, isReserved, parse } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { sha256 } from "../domain/sha256.ts"
import { type Operation, RealmFiles } from "../realms/RealmFiles.ts"
import type { RealmRow } from "../store/RealmTable.ts"
import { editFiles, withSource } from "./edit.ts"
import type { Wait } from "./Invalidation.ts"

/** Whether a file may be replaced or removed, by the SHA-256 of its bytes (base64url), or by its absence. */
export type Expectation = (hash: string | undefined) => boolean

/** Replaces or creates a file of a source realm (S32), if what is there under the realm's lock is what is expected. */
export const putFile = Effect.fn("putFile")(function*(
  realmUrl: RealmUrl,
  path: string,
  bytes: Uint8Array,
  wait: Wait = "soon",
  expected?: Expectation
) {
  yield* checkWritable(path)
  const { generation, outcomes, replicas } = yield* editFiles(
    realmUrl,
    wait,
    (realm) => Effect.as(check(realm, path, expected), [{ op: "put", path, bytes } satisfies Operation])
  )
  return { outcome: outcomes[0] === "created" ? "created" as const : "replaced" as const, generation, replicas }
})

/** Removes a file of a source realm (S32), if it is what is expected under the realm's lock. */
export const deleteFile = Effect.fn("deleteFile")(function*(
  realmUrl: RealmUrl,
  path: string,
  wait: Wait = "soon",
  expected?: Expectation
) {
  yield* checkWritable(path)
  const { generation, replicas } = yield* editFiles(
    realmUrl,
    wait,
    (realm) =>
      // Of what is not there it does not matter what was expected: it is not found (RFC 9110, 13.2.1).
      Effect.as(check(realm, path, expected && ((hash) => hash === undefined || expected(hash))), [
        { op: "remove", path } satisfies Operation
      ])
  )
  return { outcome: "removed" as const, generation, replicas }
})

const check = Effect.fnUntraced(function*(realm: RealmRow, path: string, expected: Expectation | undefined) {
  if (expected === undefined) return
  const files = yield* RealmFiles
  const found = yield* Effect.catchTag(
    Effect.asSome(files.read(realm, path)),
    "FileNotFound",
    () => Effect.succeedNone
  )
  const hash = Option.isSome(found) ? sha256(found.value.bytes) : undefined
  if (!expected(hash)) return yield* new PreconditionFailed({ realmUrl: realm.realmUrl, path, hash: hash ?? null })
})

/** Most operations of one batch. */
export const maxOperations = 10_000

/**
 * Edits several files of a source realm: all or none, also across a crash. `add` insists that there is no such file (409),
 * `update` and `remove` that there is one (404); each path may occur once, and none may lie below another (400).
 */
export const editAtomically = Effect.fn("editAtomically")(function*(
  realmUrl: RealmUrl,
  operations: ReadonlyArray<Operation>,
  wait: Wait = "soon"
) {
  if (operations.length === 0) return yield* new InvalidInput({ detail: "a batch has one operation at least" })
  if (operations.length > maxOperations) {
    return yield* new InvalidInput({ detail: `a batch may have ${maxOperations} operations; send several` })
  }
  const paths = operations.map(({ path }) => path)
  for (const path of paths) yield* checkWritable(path)
  yield* checkApart(paths)
  return yield* editFiles(realmUrl, wait, () => Effect.succeed(operations))
})

/** Removes every file of a source realm in one change; what is hidden or reserved stays. */
export const deleteAllFiles = Effect.fn("deleteAllFiles")(function*(realmUrl: RealmUrl, wait: Wait = "soon") {
  const files = yield* RealmFiles
  const { generation, outcomes, replicas } = yield* editFiles(
    realmUrl,
    wait,
    (realm) => Effect.map(files.listAll(realm), (paths) => paths.map((path): Operation => ({ op: "remove", path })))
  )
  // What is left of the tree says nothing, and is no reason to fail.
  yield* Effect.ignore(withSource(realmUrl, (realm) => files.prune(realm)))
  return { removed: outcomes.length, generation, replicas }
})

const checkApart = Effect.fnUntraced(function*(paths: ReadonlyArray<string>) {
  const seen = new Set(paths)
  if (seen.size < paths.length) {
    const twice = paths.find((path, index) => paths.indexOf(path) !== index)
    return yield* new InvalidInput({ detail: `${twice} occurs twice in the batch` })
  }
  for (const path of paths) {
    for (let slash = path.indexOf("/"); slash > 0; slash = path.indexOf("/", slash + 1)) {
      const above = path.slice(0, slash)
      if (seen.has(above)) {
        return yield* new InvalidInput({ detail: `${path} lies below ${above}, which the batch edits as a file` })
      }
    }
  }
})

const checkWritable = Effect.fnUntraced(function*(path: string) {
  const parsed = parse(path)
  if (Result.isFailure(parsed)) return yield* parsed.failure
  if (isReserved(path)) {
    return yield* new InvalidInput({ detail: `${path}: names that begin with _ or are @digits are reserved` })
  }
  if (isHidden(path)) return yield* new InvalidInput({ detail: `${path}: names that begin with a dot are not served` })
})
