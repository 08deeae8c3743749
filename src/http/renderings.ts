import { Effect, Option, Schedule, Stream } from "effect"
import { type Headers, HttpServerResponse } from "effect/http"
import { readIfThere, type SourceFile, SourceCache } from "../cache/SourceCache.ts"
import { Generations, type RealmView } from "../coordination/Generations.ts"
import { ReindexQueue } from "../coordination/ReindexQueue.ts"
import { FileNotFound } from "../domain/errors.ts"
import { encode, isHidden } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { sha256 } from "../domain/sha256.ts"
import { isInstance, renderableOf } from "../reindex/entries.ts"
import { JobTable } from "../store/JobTable.ts"
import { type IndexRow, type Outside, RealmIndexTable } from "../store/RealmIndexTable.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"
import { wantsHtml } from "./accept.ts"
import { pathIn } from "./pathIn.ts"
import { problem } from "./problems.ts"
import { represent } from "./represent.ts"
import type { RequestedRealm } from "./RequestedRealm.ts"

/**
 * What stored HTML may do where it is opened: be looked at. It is an author's, and the origin that serves it has others'
 * realms too: no script, no form, no frame, and an origin of its own.
 */
const policy = [
  "default-src 'none'",
  "img-src 'self' data:",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self'",
  "media-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  "sandbox"
].join("; ")

/** Seconds. A rendering is made within a few, most of the time. */
const soon = "1"

/** An instance as HTML, for who accepts it: its stored rendering. None if the path names no instance. */
export const instanceAsHtml = Effect.fnUntraced(function*(
  request: { readonly headers: Headers.Headers },
  { immutable, path, view }: RequestedRealm
) {
  const accept = request.headers["accept"] ?? ""
  if (immutable || !wantsHtml(accept)) return Option.none()
  const file = yield* instanceAt(view, path)
  if (file === undefined) return Option.none()
  const stored = yield* rendering(view, file)
  if (stored === undefined) return Option.some(notYet(view, file.canonicalPath))
  const generation = String(Math.max(view.row.generation, stored.generation))
  if (stored.isolatedHtml === null) {
    return Option.some(
      problem(renderError, stored.error ?? "it has no HTML", {
        fields: { path: stored.path },
        headers: { "x-lockstep-generation": generation, vary: "accept, accept-encoding" }
      })
    )
  }
  const body = Buffer.from(stored.isolatedHtml)
  return Option.some(
    yield* represent(request, view, {
      body,
      contentType: "text/html; charset=utf-8",
      etag: `"html-${sha256(body).slice(0, 32)}"`,
      headers: {
        "cache-control": "public, max-age=0, must-revalidate",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-lockstep-generation": generation
      }
    })
  )
})

/** `_index?path=alice`: the stored rendering of an instance or a module, and what it was made from. */
export const indexed = Effect.fnUntraced(function*({ view }: RequestedRealm, query: URLSearchParams) {
  const asked = yield* pathIn(query, "path", "_index")
  const { realmUrl } = view.row
  const file = (yield* instanceAt(view, asked)) ?? (yield* fileAt(view, asked))
  if (file === undefined) return yield* new FileNotFound({ realmUrl, path: asked })
  if (!isInstance(file.canonicalPath, textOf(file)) && !(yield* mayYetRender(view, file))) {
    return yield* new FileNotFound({ realmUrl, path: asked, detail: "has no rendering" })
  }
  const stored = yield* rendering(view, file)
  if (stored === undefined) return notYet(view, file.canonicalPath)
  return HttpServerResponse.jsonUnsafe({
    url: realmUrl + encode(stored.path),
    path: stored.path,
    isolated_html: stored.isolatedHtml,
    error: stored.error,
    generation: stored.generation,
    hash: stored.hash,
    dependencies: stored.dependencies,
    indexed_at: stored.indexedAt.toISOString()
  }, {
    headers: {
      "cache-control": "no-store",
      "x-lockstep-generation": String(Math.max(view.row.generation, stored.generation))
    }
  })
})

/**
 * `_readiness-check`: whether everything that was asked to be rendered is, and stands. What was made from another realm
 * stands while that has not changed; where it has, a job is asked for, as for who asks for the HTML.
 */
export const readiness = Effect.fnUntraced(function*(
  request: { readonly headers: Headers.Headers },
  { view }: RequestedRealm
) {
  if (request.headers["accept"]?.includes("text/event-stream") === true) {
    const services = yield* Effect.context<Effect.Services<ReturnType<typeof readinessOf>>>()
    return HttpServerResponse.stream(events(Effect.provideContext(readinessOf(view), services)), {
      contentType: "text/event-stream",
      headers: { "cache-control": "no-store" }
    })
  }
  const now = yield* readinessOf(view)
  return HttpServerResponse.jsonUnsafe(now, {
    status: now.ready ? 200 : 503,
    headers: { "cache-control": "no-store", ...now.ready ? {} : { "retry-after": soon } }
  })
})

const readinessOf = Effect.fnUntraced(function*(view: RealmView) {
  const { realmUrl } = view.row
  const jobs = yield* JobTable
  const latest = Option.getOrUndefined(yield* jobs.latest(realmUrl))
  if (latest === undefined) return { ready: true as const }
  if (latest.state === "done") {
    const moved = yield* movedOutside(view)
    if (moved.length === 0) return { ready: true as const }
    const queue = yield* ReindexQueue
    yield* queue.ensure(realmUrl, Math.max(view.row.generation, latest.generation))
  }
  const { error, generation, state, total } = latest
  const counted = state !== "done" && total !== null ? { indexed: latest.indexed ?? 0, total } : yield* estimate(view)
  return {
    ready: false as const,
    ...counted,
    generation,
    state: state === "done" ? "waiting" : state,
    ...error === null ? {} : { error }
  }
})

/**
 * How far a job is that no worker has counted: the last one's total, and of the same generation what still stands. A realm
 * that was never counted has 0 of 0.
 */
const estimate = Effect.fnUntraced(function*(view: RealmView) {
  const { generation, realmUrl } = view.row
  const jobs = yield* JobTable
  const last = Option.getOrUndefined(yield* jobs.lastDone(realmUrl))
  if (last === undefined) return { indexed: 0, total: 0 }
  if (last.generation < generation) return { indexed: 0, total: last.total }
  const index = yield* RealmIndexTable
  const fallen = yield* index.countMadeFrom(realmUrl, yield* movedOutside(view))
  return { indexed: Math.max(0, last.total - fallen), total: last.total }
})

/** What this realm's renderings were made from in other realms, and is not as it was. */
const movedOutside = Effect.fnUntraced(function*(view: RealmView) {
  const index = yield* RealmIndexTable
  const outside = yield* index.outside(view.row.realmUrl)
  return yield* Effect.filter(outside, (dependency) => Effect.map(holds(view, dependency), (does) => !does))
})

/** How long one stream lasts, so that none keeps a replica from stopping; a client's `EventSource` opens the next. */
const streamLimit = "5 seconds"

const events = <E, R>(look: Effect.Effect<Effect.Success<ReturnType<typeof readinessOf>>, E, R>) =>
  Stream.fromEffectSchedule(look, Schedule.spaced("250 millis")).pipe(
    Stream.map((now) => JSON.stringify(now)),
    Stream.changes,
    Stream.takeUntil((now) => now === `{"ready":true}`),
    Stream.interruptWhen(Effect.sleep(streamLimit)),
    Stream.map((now) => `data: ${now}\n\n`),
    (data) => Stream.concat(Stream.succeed("retry: 250\n\n"), data),
    Stream.encodeText
  )

/** Whether a module has a rendering, or may have one when the job is done: only rendering it tells. */
const mayYetRender = Effect.fnUntraced(function*({ row }: RealmView, file: SourceFile) {
  const { canonicalPath } = file
  if (renderableOf(canonicalPath, row.realmUrl + encode(canonicalPath), textOf(file)) === undefined) return false
  const index = yield* RealmIndexTable
  if (Option.isSome(yield* index.read(row.realmUrl, canonicalPath))) return true
  const jobs = yield* JobTable
  const latest = yield* jobs.latest(row.realmUrl)
  return !Option.exists(latest, ({ generation, state }) => state === "done" && generation >= row.generation)
})

const renderError = { type: "render-error", status: 422, title: "The instance does not render" }

const notYet = (view: RealmView, path: string) =>
  problem({ type: "not-rendered-yet", status: 503, title: "The rendering is not ready" }, `${path} is being rendered`, {
    // A browser comes back by itself.
    headers: {
      "retry-after": soon,
      refresh: soon,
      "x-lockstep-generation": String(view.row.generation),
      vary: "accept, accept-encoding"
    }
  })

const textOf = ({ bytes }: SourceFile) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")

const fileAt = Effect.fnUntraced(function*(view: RealmView, path: string) {
  const sources = yield* SourceCache
  return isHidden(path) ? undefined : Option.getOrUndefined(yield* readIfThere(sources, view, path))
})

/** The instance of this name, with or without its extension. */
const instanceAt = Effect.fnUntraced(function*(view: RealmView, path: string) {
  if (path === "" || path.endsWith("/")) return undefined
  const file = yield* fileAt(view, path.endsWith(".json") ? path : `${path}.json`)
  return file !== undefined && isInstance(file.canonicalPath, textOf(file)) ? file : undefined
})

/**
 * The stored rendering of a file, if it is valid in the state that the request is answered from; else none, and a job is
 * asked for. Never old HTML (I1): of a published realm it must be the publication's, of a source realm all that it was
 * made from must be as it was.
 */
const rendering = Effect.fnUntraced(function*(view: RealmView, file: SourceFile) {
  const { row } = view
  const index = yield* RealmIndexTable
  const stored = Option.getOrUndefined(yield* index.read(row.realmUrl, file.canonicalPath))
  if (stored !== undefined && (yield* isValid(view, file, stored))) return stored
  const queue = yield* ReindexQueue
  yield* queue.ensure(row.realmUrl, row.generation)
  return undefined
})

const isValid = Effect.fnUntraced(function*(view: RealmView, file: SourceFile, stored: IndexRow) {
  if (stored.hash !== file.hash) return false
  const { row } = view
  const isPublished = row.kind === "published"
  if (isPublished) {
    const versions = yield* RealmVersionTable
    const version = yield* versions.at(row.realmUrl, row.generation)
    if (Option.isNone(version) || stored.generation < version.value.generation) return false
  }
  for (const dependency of stored.dependencies) {
    // Files of a publication do not change.
    if (isPublished && dependency.realm === row.realmUrl) continue
    if (!(yield* holds(view, dependency))) return false
  }
  return true
})

/** Whether a name still leads to the same file with the same bytes, as this replica may answer now. */
const holds = Effect.fnUntraced(function*(own: RealmView, { asked, hash, path, realm }: Outside) {
  const generations = yield* Generations
  const view = realm === own.row.realmUrl ? own : (yield* generations.view([realm as RealmUrl]))[0]
  // What was made from a realm that is private by now is shown to nobody: its readers may not be this realm's.
  const file = view === undefined || (view !== own && view.row.isPrivate) ? undefined : yield* fileAt(view, asked)
  return file === undefined ? hash === null : file.hash === hash && file.canonicalPath === path
})
