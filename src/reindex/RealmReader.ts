import { Effect, Result, Schema } from "effect"
import { LRUCache } from "lru-cache"
import { aliasCandidates, decode, splitVersion } from "../domain/ModulePath.ts"
import { candidates, type RealmUrl } from "../domain/RealmUrl.ts"
import type { Dependency } from "../store/RealmIndexTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { Replicas, ReplicasUnavailable } from "./Replicas.ts"

/** A realm at the state in which one job reads it: all its files come from one publication. */
export interface Pinned {
  readonly realmUrl: RealmUrl
  readonly generation: number
  readonly version: number | undefined
}

/** A source file as a replica has it; `bytes` is undefined where it is the one that was known already. */
export interface FoundSource {
  readonly hash: string
  readonly text: string | undefined
}

/** A module that was asked for, and what that depended on: nothing where it is in no realm. */
export type FoundModule =
  | { readonly dependency: Dependency | undefined; readonly code: string }
  | { readonly dependency: Dependency | undefined; readonly failure: string }

export const sourceType = "application/vnd.lockstep.source"

const Listing = Schema.fromJsonString(Schema.Struct({
  entries: Schema.Array(Schema.Struct({ name: Schema.String, kind: Schema.Literals(["file", "directory"]) }))
}))
const decodeListing = Schema.decodeUnknownResult(Listing)

const Problem = Schema.fromJsonString(Schema.Struct({ title: Schema.String, detail: Schema.String }))
const decodeProblem = Schema.decodeUnknownResult(Problem)

/** Deep enough for any tree that people make. */
const maxDepth = 100

/**
 * Reads one realm for one job, and what its modules import from others. A published realm is read at one generation
 * throughout, also another one's: no rendering can mix two publishes (I1, S31).
 */
export const makeRealmReader = Effect.fnUntraced(function*(own: Pinned) {
  const realms = yield* RealmTable
  const replicas = yield* Replicas
  const pins = new Map<RealmUrl, Pinned>([[own.realmUrl, own]])
  const modules = new LRUCache<string, FoundModule>({
    maxSize: 64 * 1024 * 1024,
    sizeCalculation: (found) => 512 + ("code" in found ? found.code.length : found.failure.length)
  })
  const hashes = new Map<string, Pick<Dependency, "path" | "hash">>()

  const pin = (row: RealmRow): Pinned => {
    const { generation, kind, realmUrl } = row
    const known = pins.get(realmUrl)
    if (known !== undefined) return known
    const pinned = { realmUrl, generation, version: kind === "published" ? generation : undefined }
    pins.set(realmUrl, pinned)
    return pinned
  }

  /** The realm that a URL is in, and the path in it. */
  const locate = Effect.fnUntraced(function*(url: URL) {
    const plain = url.origin + url.pathname
    const within = (pinned: Pinned) => {
      const path = decode(plain.slice(pinned.realmUrl.length))
      return Result.isSuccess(path) ? { pinned, path: path.success } : undefined
    }
    for (const pinned of pins.values()) if (plain.startsWith(pinned.realmUrl)) return within(pinned)
    const rows = (yield* realms.read(candidates(url.origin, url.pathname))).realms
    const row = rows.find(({ state }) => state === "live")
    // What another realm keeps to its readers must not end up in this one's HTML.
    return row === undefined || row.isPrivate ? undefined : within(pin(row))
  })

  const read = (
    pinned: Pinned,
    path: string,
    accept: string,
    more: { readonly known?: string; method?: "HEAD" } = {}
  ) =>
    replicas.read({
      realmUrl: pinned.realmUrl,
      path,
      version: pinned.version,
      minGeneration: pinned.generation,
      accept,
      ...more
    })

  const dependencyOf = (pinned: Pinned, asked: string, headers: Readonly<Record<string, string>>): Dependency => ({
    realm: pinned.realmUrl,
    path: canonicalOf(headers, asked),
    asked,
    generation: pinned.generation,
    hash: headers["x-lockstep-source-hash"] ?? null
  })

  const fetchModule = Effect.fnUntraced(function*(pinned: Pinned, asked: string) {
    // A version that the author names cannot change, whatever happens to the realm.
    const named = pinned.version === undefined ? undefined : splitVersion(asked)
    const from = named === undefined ? pinned : { ...pinned, version: named.generation }
    const answer = yield* read(from, named?.path ?? asked, "text/javascript, */*")
    const dependency = named === undefined ? dependencyOf(pinned, asked, answer.headers) : undefined
    if (answer.status === 200 && answer.headers["content-type"]?.startsWith("text/javascript") === true) {
      return { dependency, code: answer.body }
    }
    if (answer.status !== 404) {
      // Whatever is wrong with it, its bytes are what a mending edit changes.
      const source = yield* sourceOf(from, named?.path ?? asked)
      const failure = answer.status === 200 ? `${asked} is not a module` : problemOf(answer.body)
      return { dependency: dependency && { ...dependency, ...source }, failure }
    }
    return {
      dependency: dependency && { ...dependency, hash: null },
      failure: `${asked} does not exist in ${pinned.realmUrl}`
    }
  })

  const sourceOf = Effect.fnUntraced(function*(pinned: Pinned, asked: string) {
    const { headers, status } = yield* read(pinned, asked, sourceType, { method: "HEAD" })
    return status === 200
      ? { path: canonicalOf(headers, asked), hash: headers["x-lockstep-source-hash"] ?? null }
      : { path: asked, hash: null }
  })

  return {
    /** Every file of the realm, by path. */
    list: Effect.gen(function*() {
      const files: Array<string> = []
      let directories = [""]
      for (let depth = 0; directories.length > 0 && depth < maxDepth; depth++) {
        const found = yield* Effect.forEach(directories, (directory) =>
          Effect.gen(function*() {
            const answer = yield* read(own, directory, "application/json")
            const listing = decodeListing(answer.body)
            // A directory that went away while its realm was listed; a realm without a root is no realm.
            if (answer.status === 404 && directory !== "") return []
            if (answer.status !== 200 || Result.isFailure(listing)) {
              const detail = `${own.realmUrl}${directory} cannot be listed: ${problemOf(answer.body)}`
              return yield* new ReplicasUnavailable({ detail })
            }
            return listing.success.entries.map(({ kind, name }) => ({ kind, path: directory + name }))
          }), { concurrency: "unbounded" })
        const all = found.flat()
        for (const { kind, path } of all) if (kind === "file") files.push(path)
        directories = all.flatMap(({ kind, path }) => kind === "directory" ? [`${path}/`] : [])
      }
      return files.toSorted()
    }),

    /** A file's source; without its text if it still has this hash. None where it is gone. */
    source: Effect.fnUntraced(function*(path: string, hash: string | undefined) {
      const answer = yield* read(own, path, sourceType, hash === undefined ? {} : { known: sourceTag(hash) })
      if (answer.status === 304 && hash !== undefined) return { hash, text: undefined } satisfies FoundSource
      const found = answer.headers["x-lockstep-source-hash"]
      if (answer.status !== 200 || found === undefined || canonicalOf(answer.headers, path) !== path) return undefined
      return { hash: found, text: answer.body } satisfies FoundSource
    }),

    /** A module's JavaScript, by its URL. */
    module: Effect.fnUntraced(function*(text: string) {
      const place = URL.canParse(text) ? yield* locate(new URL(text)) : undefined
      if (place === undefined) {
        return { dependency: undefined, failure: `${text} is in no realm that is served here` } satisfies FoundModule
      }
      const key = place.pinned.realmUrl + place.path
      const known = modules.get(key)
      if (known !== undefined) return known
      const found: FoundModule = yield* fetchModule(place.pinned, place.path)
      modules.set(key, found)
      return found
    }),

    /** Whether a name still leads to the same file with the same bytes, in the state that this job reads. */
    holds: Effect.fnUntraced(function*({ asked, hash, path, realm }: Dependency) {
      const key = `${realm}\0${asked}`
      let now = hashes.get(key)
      if (now === undefined) {
        const realmUrl = realm as RealmUrl
        const [row] = pins.has(realmUrl) ? [] : (yield* realms.read([realmUrl])).realms
        const pinned = pins.get(realmUrl) ?? (row?.state === "live" && !row.isPrivate ? pin(row) : undefined)
        now = pinned === undefined ? { path: asked, hash: null } : yield* sourceOf(pinned, asked)
        hashes.set(key, now)
      }
      return now.hash === hash && now.path === path
    })
  }
})

export type RealmReader = Effect.Success<ReturnType<typeof makeRealmReader>>

/** The entity tag of a source with this hash. */
export const sourceTag = (hash: string) => `"src-${hash.slice(0, 32)}"`

/** What a name stands for. In the header, names that are not ASCII are encoded; others may look as if they were. */
const canonicalOf = (headers: Readonly<Record<string, string>>, asked: string): string => {
  const header = headers["x-lockstep-canonical-path"]
  return [asked, ...aliasCandidates(asked)].find((path) => header === path || header === encodeURI(path)) ?? asked
}

const problemOf = (body: string) => {
  const problem = decodeProblem(body)
  return Result.isSuccess(problem) ? `${problem.success.title}: ${problem.success.detail}` : body.slice(0, 500)
}
