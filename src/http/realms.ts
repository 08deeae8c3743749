import { posix } from "node:path"
import { Effect, Option, Result } from "effect"
import { HttpServerRequest, HttpServerResponse, Mime } from "effect/http"
import { Access } from "../access/Access.ts"
import { Forbidden } from "../access/errors.ts"
import { CurrentPrincipal } from "../access/Principal.ts"
import { type SourceFile, SourceCache } from "../cache/SourceCache.ts"
import { SourceMapCache } from "../cache/SourceMapCache.ts"
import { sha256 } from "../domain/sha256.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import { FileNotFound } from "../domain/errors.ts"
import { isExecutable, isHidden, isReserved } from "../domain/ModulePath.ts"
import { deleteFile, putFile } from "../lifecycle/write.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { Reconciler } from "../realms/Reconciler.ts"
import { sourceType, wantsHtml, wantsSource } from "./accept.ts"
import { atomic, removeAll, waitOf, written } from "./atomic.ts"
import { readBody } from "./body.ts"
import { expectationOf, sourceTag } from "./conditional.ts"
import { crossOriginHeaders } from "./crossOrigin.ts"
import { definitionsOf } from "./definitions.ts"
import { modulePreload } from "./modulePreload.ts"
import { represent, representFile } from "./represent.ts"
import { answerTo, isFailure, methodNotAllowed, payloadTooLarge } from "./problems.ts"
import { asksForSource } from "./query.ts"
import { indexed, instanceAsHtml, readiness } from "./renderings.ts"
import type { RequestedRealm } from "./RequestedRealm.ts"
import { sandboxOf } from "./sandbox.ts"

const unconfirmed = `110 lockstep "PostgreSQL cannot be asked; this may be stale"`

/** Answers a request that belongs to a realm. `named` is the page's origin where the operator named that. */
export const handleRealm = Effect.fnUntraced(function*(
  requested: RequestedRealm,
  query: URLSearchParams,
  named: string | undefined
) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const reconciler = yield* Reconciler
  // A version is no realm: the registry does not know it, and nothing unmounts it.
  if (!requested.immutable) yield* reconciler.mount(requested.view.row)
  const answered = yield* Effect.catchIf(dispatch(request, requested, query), isFailure, answerTo)
  const response = HttpServerResponse.setHeaders(answered, visibilityOf(request.method, requested, answered, named))
  return HttpServerResponse.setHeader(
    requested.view.unconfirmed === true ? HttpServerResponse.setHeader(response, "warning", unconfirmed) : response,
    "x-lockstep-generation",
    response.headers["x-lockstep-generation"] ?? String(requested.view.row.generation)
  )
})

/**
 * Who may keep an answer, and whose pages may see it. One place for every answer of a realm: of a private one no shared
 * cache keeps anything, whatever made the answer says, and no browser without asking again.
 */
const visibilityOf = (
  method: string,
  { view: { row: { isPrivate } } }: RequestedRealm,
  { headers }: HttpServerResponse.HttpServerResponse,
  named: string | undefined
): Readonly<Record<string, string>> => {
  const isRead = method === "GET" || method === "HEAD"
  const vary = headers["vary"]
  return {
    ...crossOriginHeaders(isRead && !isPrivate, named),
    ...isPrivate && {
      "cache-control": headers["cache-control"] === "no-store" ? "no-store" : "private, no-cache",
      vary: `${vary === undefined ? "" : `${vary}, `}authorization, origin`,
      "referrer-policy": "no-referrer"
    }
  }
}

/** A realm's own endpoints, and their methods. */
const endpoints: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["_atomic", ["POST"]],
  ["_definitions", ["GET", "HEAD"]],
  ["_index", ["GET", "HEAD"]],
  ["_readiness-check", ["GET", "HEAD"]]
])

const dispatch = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  query: URLSearchParams
) {
  const { immutable, path, view } = requested
  const endpoint = immutable ? undefined : endpoints.get(path)
  if (endpoint !== undefined && !endpoint.includes(request.method)) {
    return methodNotAllowed(request.method, endpoint.join(", "))
  }
  const allowed = immutable || view.row.kind === "published" ? "GET, HEAD" : "GET, HEAD, PUT, DELETE"
  switch (request.method) {
    case "GET":
    case "HEAD":
      return yield* read(request, requested, query)
    case "PUT":
      if (!immutable) yield* demandWrite(requested)
      return immutable ? methodNotAllowed("PUT", allowed) : yield* put(request, requested, query)
    case "DELETE":
      if (!immutable) yield* demandWrite(requested)
      return immutable ? methodNotAllowed("DELETE", allowed) : yield* remove(request, requested, query)
    case "POST":
      if (path !== "_atomic" || immutable) return methodNotAllowed("POST", allowed)
      yield* demandWrite(requested)
      return yield* atomic(request, requested, query)
    default:
      return methodNotAllowed(request.method, allowed)
  }
})

const demandWrite = Effect.fnUntraced(function*({ view }: RequestedRealm) {
  const access = yield* Access
  if (yield* access.mayWrite(yield* CurrentPrincipal, view)) return
  return yield* new Forbidden({ detail: `this needs the permission "write" for ${view.row.realmUrl}` })
})

const read = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  query: URLSearchParams
) {
  const { path, view } = requested
  const accept = request.headers["accept"] ?? "*/*"
  if (!requested.immutable && isReserved(path)) return yield* reserved(request, requested, query)
  if (isHidden(path)) return yield* new FileNotFound({ realmUrl: view.row.realmUrl, path })
  if (path === "" || path.endsWith("/")) return yield* directory(request, requested, accept)
  const html = yield* instanceAsHtml(request, requested)
  if (Option.isSome(html)) return html.value

  const sources = yield* SourceCache
  const source = yield* Effect.result(sources.read(view, path))
  if (Result.isFailure(source)) {
    if (source.failure._tag !== "FileNotFound") return yield* source.failure
    // A directory asked for without its slash; where it is none either, the first answer stands.
    const listing = yield* Effect.result(directory(request, requested, accept))
    if (Result.isSuccess(listing)) return listing.success
    return (yield* sourceMap(request, requested)) ?? (yield* source.failure)
  }
  const file = source.success
  return isExecutable(file.canonicalPath) && !asksForSource(query) && !wantsSource(accept)
    ? yield* module(request, requested, file)
    : yield* plain(request, requested, file)
})

/** A module, as JavaScript. */
const module = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  source: SourceFile
) {
  const modules = yield* TranspiledModuleCache
  const sources = yield* SourceCache
  const { origin, value } = yield* modules.get(requested.view, source)
  return yield* representFile(request, requested, {
    canonicalPath: source.canonicalPath,
    isModule: true,
    isFinal: true,
    unchanged: sources.unchanged(requested.view, source),
    body: value.body,
    contentType: value.headers["content-type"] ?? "text/javascript; charset=utf-8",
    etag: value.headers["etag"] ?? "",
    headers: {
      ...cacheControl(requested),
      "x-lockstep-cache": origin === "computed" ? "transpiled" : origin,
      sourcemap: mapNameOf(source.canonicalPath),
      "x-lockstep-canonical-path": headerSafe(source.canonicalPath),
      "x-lockstep-source-hash": source.hash
    }
  })
})

/** A module's map beside it, whatever name the module was asked by: relative to its URL, where a colon would mislead. */
const mapNameOf = (canonicalPath: string) => `${encodeURIComponent(posix.basename(canonicalPath))}.map`

/**
 * The source map of the module that the path is without `.map`, where no file has the path: the author's own map wins. It
 * is kept by the engine, and not as a finished answer: those know of two paths that void them, and this has three.
 */
const sourceMap = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm
) {
  const { path, view } = requested
  const name = /^(.*[^/])\.map$/s.exec(path)?.[1]
  if (name === undefined) return undefined
  const sources = yield* SourceCache
  const source = yield* Effect.result(sources.read(view, name))
  if (Result.isFailure(source)) return source.failure._tag === "FileNotFound" ? undefined : yield* source.failure
  const { canonicalPath, hash } = source.success
  if (!isExecutable(canonicalPath)) return undefined
  const maps = yield* SourceMapCache
  const { value } = yield* maps.get(view, source.success)
  return yield* represent(request, view, {
    body: value.body,
    contentType: "application/json",
    etag: value.etag,
    headers: {
      ...cacheControl(requested),
      "x-lockstep-canonical-path": headerSafe(`${canonicalPath}.map`),
      "x-lockstep-source-hash": hash
    }
  })
})

/** A file as it is: not a module, or a module whose source was asked for. A page says what its modules import. */
const plain = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  file: SourceFile
) {
  const sources = yield* SourceCache
  const { bytes, canonicalPath, hash } = file
  const contentType = contentTypeOf(canonicalPath)
  const page = { path: canonicalPath, html: contentType.startsWith("text/html") ? Buffer.from(bytes).toString() : "" }
  const { complete, link } = yield* modulePreload(requested.view, page)
  return yield* representFile(request, requested, {
    canonicalPath,
    isModule: false,
    // What a page's modules import may be edited without the page.
    isFinal: complete && (page.html === "" || requested.view.row.kind === "published"),
    unchanged: sources.unchanged(requested.view, file),
    body: bytes,
    contentType,
    etag: sourceTag(hash),
    headers: {
      ...cacheControl(requested),
      ...link !== "" && { link },
      ...requested.sandboxed && sandboxOf(contentType),
      "x-lockstep-canonical-path": headerSafe(canonicalPath),
      "x-lockstep-source-hash": hash
    }
  })
})

const contentTypeOf = (path: string): string => {
  if (isExecutable(path)) return `${sourceType}; charset=utf-8`
  const type = Option.getOrElse(Mime.getType(path), () => "application/octet-stream")
  return /^text\/|json$|xml$|javascript$/.test(type) ? `${type}; charset=utf-8` : type
}

const cacheControl = ({ immutable }: RequestedRealm) => ({
  "cache-control": immutable ? "public, max-age=31536000, immutable" : "public, max-age=0, must-revalidate"
})

// A header carries Latin-1 at most: names outside of it travel percent-encoded.
const headerSafe = (path: string) => /^[\x20-\x7e]*$/.test(path) ? path : encodeURI(path)

/** A directory: its `index.html` for a browser that asks for a page, else its names as JSON. */
const directory = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  accept: string
) {
  const { path, view } = requested
  const files = yield* RealmFiles
  const entries = yield* files.list(view.row, path === "" ? "." : path.replace(/\/$/, ""))
  if (wantsHtml(accept) && (path === "" || path.endsWith("/"))) {
    const sources = yield* SourceCache
    const index = yield* Effect.result(sources.read(view, `${path}index.html`))
    if (Result.isSuccess(index)) return yield* plain(request, requested, index.success)
  }
  const body = Buffer.from(JSON.stringify({ path, entries }))
  return yield* represent(request, view, {
    body,
    contentType: "application/json",
    etag: `"dir-${sha256(body).slice(0, 32)}"`,
    headers: cacheControl(requested)
  })
})

/** Paths that begin with `_` at a realm's root belong to Lockstep. */
const reserved = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  query: URLSearchParams
) {
  const { path, view } = requested
  switch (path) {
    case "_readiness-check":
      return yield* readiness(request, requested)
    case "_index":
      return yield* indexed(requested, query)
    case "_definitions":
      return yield* definitionsOf(view, query)
    default:
      return yield* new FileNotFound({ realmUrl: view.row.realmUrl, path })
  }
})

const put = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  { path, view }: RequestedRealm,
  query: URLSearchParams
) {
  const { realmUrl } = view.row
  const body = yield* readBody(request)
  if (Option.isNone(body)) return payloadTooLarge("16 MiB")
  const { generation, outcome, replicas } = yield* putFile(
    realmUrl,
    path,
    body.value,
    waitOf(query),
    expectationOf(request.headers)
  )
  return HttpServerResponse.setHeader(
    written({ realmURL: realmUrl, path, generation, replicas }, outcome === "created" ? 201 : 200),
    "etag",
    sourceTag(sha256(body.value))
  )
})

const remove = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  query: URLSearchParams
) {
  const { path, view: { row: { realmUrl } } } = requested
  if (path === "") return yield* removeAll(requested, query)
  const { generation, replicas } = yield* deleteFile(
    realmUrl,
    path,
    waitOf(query),
    expectationOf(request.headers)
  )
  return written({ realmURL: realmUrl, path, generation, replicas })
})
