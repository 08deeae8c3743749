import { Effect, Result } from "effect"
import { Access } from "../access/Access.ts"
import { CurrentPrincipal } from "../access/Principal.ts"
import { Generations, type RealmView } from "../coordination/Generations.ts"
import { versionView } from "../coordination/versionView.ts"
import { DatabaseError, GenerationAhead, InvalidInput, RealmNotFound } from "../domain/errors.ts"
import { decode, splitVersion } from "../domain/ModulePath.ts"
import { candidates, type RealmUrl } from "../domain/RealmUrl.ts"

/** The realm that a request belongs to, as PostgreSQL knew it after the request began, and the path within it. */
export interface RequestedRealm {
  readonly view: RealmView
  readonly path: string
  /** The path names one immutable version, `@<generation>/...`. */
  readonly immutable: boolean
  /** It is at the origin of the management, whose pages must not be its authors'. */
  readonly sandboxed: boolean
  /** Where the request went, and whether realms of its own are there: none for the public URL's origin. */
  readonly origin: { readonly url: string; readonly hasRealms: boolean } | undefined
}

export interface Target {
  /** `scheme://host` as the client sees it. */
  readonly origin: string
  /** Raw path as sent, without the query. */
  readonly rawPath: string
  readonly publicUrl: RealmUrl
  /** `x-lockstep-min-generation`, as sent. */
  readonly minGeneration: string | undefined
  /** Realms at the public URL's origin are what its management trusts: their pages are no other origin's. */
  readonly trustPages: boolean
}

/**
 * Finds the realm: the longest URL that the request's URL begins with, under its own host or else the public one. One that
 * who asks may not read is not found, in the same words and after the same work as one that does not exist.
 */
export const requestedRealm = Effect.fnUntraced(function*(target: Target) {
  const { minGeneration, origin, publicUrl, rawPath, trustPages } = target
  const whole = decode(rawPath.slice(1))
  if (Result.isFailure(whole)) return yield* whole.failure
  const publicOrigin = new URL(publicUrl).origin
  const generations = yield* Generations
  // A host that no realm has stands for the public one: an IP address, say, or the replica's own port.
  const hasRealms = origin === publicOrigin || (yield* generations.hasRealms(origin))
  if (minGeneration !== undefined && !/^\d{1,64}$/.test(minGeneration)) {
    return yield* new InvalidInput({ detail: "x-lockstep-min-generation must be a whole number" })
  }
  const token = Number(minGeneration ?? 0)
  const urls = candidates(hasRealms ? origin : publicOrigin, rawPath)
  const found = yield* findRealm(urls, rawPath, token)
  if (found === undefined) return yield* new RealmNotFound({ realmUrl: `${origin}${rawPath}` })

  const { path, version, view } = found
  const { generation: current, realmUrl } = view.row
  if (token > current) return yield* new GenerationAhead({ realmUrl, asked: token, current })
  const sandboxed = !trustPages && realmUrl.startsWith(`${publicOrigin}/`)
  if (version === undefined) {
    const other = origin === publicOrigin ? undefined : { url: origin, hasRealms }
    return { view, path, immutable: false, sandboxed, origin: other } satisfies RequestedRealm
  }
  return {
    view: yield* versionView(view, version),
    path,
    immutable: true,
    sandboxed,
    origin: undefined
  } satisfies RequestedRealm
})

/**
 * What memory knows, or what PostgreSQL says where the request names a generation that memory has not reached. A realm that
 * may not be read is looked for like one that is not known.
 */
const findRealm = Effect.fnUntraced(function*(urls: ReadonlyArray<RealmUrl>, rawPath: string, token: number) {
  const generations = yield* Generations
  const known = split(yield* readable(urls, (yield* generations.view(urls))[0]), rawPath)
  const named = Math.max(token, known?.version ?? 0)
  // Who brings a token wants certainty: an unconfirmed view is none.
  const enough = known !== undefined && named <= known.view.row.generation && !(token > 0 && known.view.unconfirmed)
  return enough || named === 0 ? known : split(yield* readable(urls, (yield* generations.ask(urls))[0]), rawPath)
})

/** The view, if whoever asks may read the realm. */
export const readable = Effect.fnUntraced(function*(urls: ReadonlyArray<RealmUrl>, view: RealmView | undefined) {
  const access = yield* Access
  const principal = yield* CurrentPrincipal
  if (yield* access.mayRead(principal, view, view?.row.realmUrl ?? urls[0] ?? "" as RealmUrl)) return view
  // While PostgreSQL is silent nobody is told that there is no realm; who may not read this one is told the same.
  if (view?.unconfirmed === true) {
    return yield* new DatabaseError({ operation: "read realms", cause: "it did not answer" })
  }
  return undefined
})

const split = (view: RealmView | undefined, rawPath: string) => {
  if (view === undefined) return undefined
  const prefix = new URL(view.row.realmUrl).pathname
  const path = Result.getOrThrow(decode(rawPath.slice(prefix.length)))
  const version = view.row.kind === "published" ? splitVersion(path) : undefined
  return { view, path: version?.path ?? path, version: version?.generation }
}
