import { Effect, Option, Result } from "effect"
import { Generations, type RealmView } from "../coordination/Generations.ts"
import { FileNotFound, GenerationAhead, InvalidInput, RealmNotFound } from "../domain/errors.ts"
import { decode, splitVersion } from "../domain/ModulePath.ts"
import { candidates, ofVersion, type RealmUrl } from "../domain/RealmUrl.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"

/** The realm that a request belongs to, as PostgreSQL knew it after the request began, and the path within it. */
export interface RequestedRealm {
  readonly view: RealmView
  readonly path: string
  /** The path names one immutable version, `@<generation>/...`. */
  readonly immutable: boolean
}

export interface Target {
  /** `scheme://host` as the client sees it. */
  readonly origin: string
  /** Raw path as sent, without the query. */
  readonly rawPath: string
  readonly publicUrl: RealmUrl
  /** `x-lockstep-min-generation`, as sent. */
  readonly minGeneration: string | undefined
}

/** Finds the realm: the longest URL that the request's URL begins with, under its own host or else the public one. */
export const requestedRealm = Effect.fnUntraced(function*(target: Target) {
  const { minGeneration, origin, publicUrl, rawPath } = target
  const whole = decode(rawPath.slice(1))
  if (Result.isFailure(whole)) return yield* whole.failure
  const publicOrigin = new URL(publicUrl).origin
  const own = origin === publicOrigin ? [] : candidates(origin, rawPath)
  const generations = yield* Generations
  const [view] = yield* generations.view([...own, ...candidates(publicOrigin, rawPath)])
  if (view === undefined) return yield* new RealmNotFound({ realmUrl: `${origin}${rawPath}` })

  const { row } = view
  if (minGeneration !== undefined) {
    if (!/^\d{1,16}$/.test(minGeneration)) {
      return yield* new InvalidInput({ detail: "x-lockstep-min-generation must be a whole number" })
    }
    // The view is newer than the request: a generation above it does not exist.
    const asked = Number(minGeneration)
    if (asked > row.generation) {
      return yield* new GenerationAhead({ realmUrl: row.realmUrl, asked, current: row.generation })
    }
  }

  const prefix = new URL(row.realmUrl).pathname
  const path = Result.getOrThrow(decode(rawPath.slice(prefix.length)))
  const version = row.kind === "published" ? splitVersion(path) : undefined
  if (version === undefined) return { view, path, immutable: false } satisfies RequestedRealm
  return yield* versionOf(view, version.generation, version.path)
})

/** The newest version at or below the generation. One from the future does not exist yet, and must not be guessed. */
const versionOf = Effect.fnUntraced(function*(view: RealmView, generation: number, path: string) {
  const { row } = view
  const versions = yield* RealmVersionTable
  const version = generation > row.generation ? Option.none() : yield* versions.at(row.realmUrl, generation)
  if (Option.isNone(version)) {
    return yield* new FileNotFound({
      realmUrl: row.realmUrl,
      path: `@${generation}`,
      detail: "is not a version that is kept"
    })
  }
  const { directory } = version.value
  const realmUrl = ofVersion(row.realmUrl, version.value.generation)
  return {
    view: { ...view, row: { ...row, realmUrl, directory, generation: version.value.generation } },
    path,
    immutable: true
  } satisfies RequestedRealm
})
