import { ByteSize, Effect, Option, Result } from "effect"
import { HttpIncomingMessage, HttpServerRequest, HttpServerResponse, Mime } from "effect/http"
import { type SourceFile, SourceCache } from "../cache/SourceCache.ts"
import { sha256 } from "../domain/sha256.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import { DefinitionLookup } from "../definitions/DefinitionLookup.ts"
import { FileNotFound, InvalidInput } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { aliasOf, isExecutable, isHidden, isReserved } from "../domain/ModulePath.ts"
import { deleteFile, putFile, type Wait } from "../lifecycle/write.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { Reconciler } from "../realms/Reconciler.ts"
import { represent, representFile } from "./represent.ts"
import { answerTo, isFailure, methodNotAllowed, payloadTooLarge } from "./problems.ts"
import type { RequestedRealm } from "./RequestedRealm.ts"

/** Largest body of a write. */
export const maxBody = ByteSize.mebibytes(16)

const sourceType = "application/vnd.lockstep.source"

const unconfirmed = `110 lockstep "PostgreSQL cannot be asked; this may be stale"`

/** Answers a request that belongs to a realm. */
export const handleRealm = Effect.fnUntraced(function*(requested: RequestedRealm, query: URLSearchParams) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const reconciler = yield* Reconciler
  yield* reconciler.mount(requested.view.row)
  const response = yield* Effect.catchIf(dispatch(request, requested, query), isFailure, answerTo)
  return HttpServerResponse.setHeader(
    requested.view.unconfirmed === true ? HttpServerResponse.setHeader(response, "warning", unconfirmed) : response,
    "x-lockstep-generation",
    response.headers["x-lockstep-generation"] ?? String(requested.view.row.generation)
  )
})

const dispatch = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  query: URLSearchParams
) {
  const { immutable, view } = requested
  const allowed = immutable || view.row.kind === "published" ? "GET, HEAD" : "GET, HEAD, PUT, DELETE"
  switch (request.method) {
    case "GET":
    case "HEAD":
      return yield* read(request, requested, query)
    case "PUT":
      return immutable ? methodNotAllowed("PUT", allowed) : yield* put(request, requested, query)
    case "DELETE":
      return immutable ? methodNotAllowed("DELETE", allowed) : yield* remove(requested, query)
    default:
      return methodNotAllowed(request.method, allowed)
  }
})

const read = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  query: URLSearchParams
) {
  const { path, view } = requested
  const accept = request.headers["accept"] ?? "*/*"
  if (!requested.immutable && isReserved(path)) return yield* reserved(requested, query)
  if (isHidden(path)) return yield* new FileNotFound({ realmUrl: view.row.realmUrl, path })
  if (path === "" || path.endsWith("/")) return yield* directory(request, requested, accept)

  const sources = yield* SourceCache
  const source = yield* Effect.result(sources.read(view, path))
  if (Result.isFailure(source)) {
    if (source.failure._tag !== "FileNotFound") return yield* source.failure
    // A directory asked for without its slash; where it is none either, the first answer stands.
    const listing = yield* Effect.result(directory(request, requested, accept))
    return yield* Effect.fromResult(Result.isSuccess(listing) ? listing : Result.fail(source.failure))
  }
  const file = source.success
  return isExecutable(file.canonicalPath) && !query.has("source") && !accept.includes(sourceType)
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
  const { origin, value } = yield* modules.get(requested.view, source)
  return yield* representFile(request, requested, {
    canonicalPath: source.canonicalPath,
    isModule: true,
    body: value.body,
    contentType: value.headers["content-type"] ?? "text/javascript; charset=utf-8",
    etag: value.headers["etag"] ?? "",
    headers: {
      ...cacheControl(requested),
      "x-lockstep-cache": origin === "computed" ? "transpiled" : origin,
      "x-lockstep-canonical-path": headerSafe(source.canonicalPath)
    }
  })
})

/** A file as it is: not a module, or a module whose source was asked for. */
const plain = (
  request: HttpServerRequest.HttpServerRequest,
  requested: RequestedRealm,
  { bytes, canonicalPath, hash }: SourceFile
) =>
  representFile(request, requested, {
    canonicalPath,
    isModule: false,
    body: bytes,
    contentType: contentTypeOf(canonicalPath),
    etag: `"src-${hash.slice(0, 32)}"`,
    headers: { ...cacheControl(requested), "x-lockstep-canonical-path": headerSafe(canonicalPath) }
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
  if (accept.includes("text/html") && (path === "" || path.endsWith("/"))) {
    const sources = yield* SourceCache
    const index = yield* Effect.result(sources.read(view, `${path}index.html`))
    if (Result.isSuccess(index)) return yield* plain(request, requested, index.success)
  }
  const body = Buffer.from(JSON.stringify({ path, entries }))
  return yield* represent(request, {
    body,
    contentType: "application/json",
    etag: `"dir-${sha256(body).slice(0, 32)}"`,
    headers: cacheControl(requested)
  })
})

/** Paths that begin with `_` at a realm's root belong to Lockstep. */
const reserved = Effect.fnUntraced(function*({ path, view }: RequestedRealm, query: URLSearchParams) {
  switch (path) {
    // The rows of a publish are committed together, and no rendering waits for a worker yet.
    case "_readiness-check":
      return HttpServerResponse.jsonUnsafe({ ready: true }, { headers: { "cache-control": "no-store" } })
    case "_definitions": {
      const name = query.get("module")
      if (name === null || name === "") {
        return yield* new InvalidInput({ detail: "_definitions needs ?module=, a path within the realm" })
      }
      const sources = yield* SourceCache
      const definitions = yield* DefinitionLookup
      const source = yield* sources.read(view, name.replace(/^\.\//, ""))
      if (!isExecutable(source.canonicalPath) || isHidden(source.canonicalPath)) {
        return yield* new FileNotFound({ realmUrl: view.row.realmUrl, path: name, detail: "is not a module" })
      }
      const row = yield* definitions.getCachedDefinitions(view, source)
      const wanted = query.get("name")
      return HttpServerResponse.jsonUnsafe({
        module: view.row.realmUrl + (aliasOf(source.canonicalPath) ?? source.canonicalPath),
        canonicalPath: source.canonicalPath,
        definitions: row.definitions.filter((each) => wanted === null || each.name === wanted),
        dependencies: row.dependency_keys,
        error: row.error
      }, { headers: { "cache-control": "no-store" } })
    }
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
  const declared = Number(request.headers["content-length"] ?? 0)
  if (declared > Number(maxBody)) return payloadTooLarge("16 MiB")
  const body = yield* Effect.result(
    Effect.provideService(request.arrayBuffer, HttpIncomingMessage.MaxBodySize, maxBody)
  )
  // Too large, or cut off by the client, who is gone then.
  if (Result.isFailure(body)) return payloadTooLarge("16 MiB")
  const write = yield* putFile(realmUrl, path, new Uint8Array(body.success), waitOf(query))
  return written(realmUrl, path, write, write.outcome === "created" ? 201 : 200)
})

const remove = Effect.fnUntraced(function*({ path, view }: RequestedRealm, query: URLSearchParams) {
  const { realmUrl } = view.row
  return written(realmUrl, path, yield* deleteFile(realmUrl, path, waitOf(query)), 200)
})

const waitOf = (query: URLSearchParams): Wait => query.get("wait") === "all" ? "all" : "soon"

const written = (realmURL: RealmUrl, path: string, write: Written, status: number) =>
  HttpServerResponse.jsonUnsafe({ realmURL, path, generation: write.generation, replicas: write.replicas }, {
    status,
    headers: { "x-lockstep-generation": String(write.generation), "cache-control": "no-store" }
  })

type Written = Effect.Success<ReturnType<typeof putFile | typeof deleteFile>>
