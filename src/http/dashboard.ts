import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Effect } from "effect"
import { HttpServerResponse, type HttpServerRequest, Mime } from "effect/http"
import { type SourceFile } from "../cache/SourceCache.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import { Fence } from "../coordination/Fence.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { isExecutable } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { sha256 } from "../domain/sha256.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { sourceTag } from "./conditional.ts"
import { dashboardDirectory, vendored } from "./packageFiles.ts"
import { methodNotAllowed, noSuchEndpoint } from "./problems.ts"
import { represent } from "./represent.ts"

const root = "/_dashboard"

/** Whether a request's path is the dashboard's. */
export const isDashboard = (requestPath: string): boolean => requestPath === root || requestPath.startsWith(`${root}/`)

// No http URL is this one's, so no request, registry row or notification reaches it but through this file.
const realmUrl = "lockstep:dashboard/" as RealmUrl

/**
 * The dashboard's source is a realm of TSX modules that comes with the package: the same in every replica of a version,
 * read-only, and without a row. Its modules go the way of all modules, through `TranspiledModuleCache`: one replica
 * transpiles them, the others take them from the shared cache, and L1 answers from then on. Nothing ever voids them.
 */
const internalView = (): RealmView => {
  const fence = new Fence()
  return {
    row: {
      realmUrl,
      generation: 1,
      state: "live",
      directory: "",
      isPrivate: false,
      wipeFloor: 0,
      definitionFloor: 0,
      kind: "published",
      sourceUrl: null,
      lastPublishedAt: null
    },
    incarnation: "",
    fence,
    token: fence.capture()
  }
}

/** The page is a program of this origin and of nothing else: no inline script but the import map, nobody's frame. */
const pageHeaders = (html: string) => {
  const importMap = /<script type="importmap">([^]*?)<\/script>/.exec(html)?.[1] ?? ""
  const hash = crypto.createHash("sha256").update(importMap).digest("base64")
  const policy = [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ]
  return { "content-security-policy": policy.join("; "), "cross-origin-opener-policy": "same-origin" }
}

const headers = {
  "cache-control": "public, max-age=0, must-revalidate",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin"
}

const load = (file: string, canonicalPath: string): SourceFile => {
  const bytes = fs.readFileSync(file)
  return { canonicalPath, bytes, hash: sha256(bytes) }
}

/** What is served, by its path below the dashboard's. */
const loadAll = (): ReadonlyMap<string, SourceFile> => {
  const own = fs.readdirSync(dashboardDirectory).filter((name) => /\.(?:tsx?|css|html|svg)$/.test(name))
  return new Map([
    ...own.map((name) => [name, load(path.join(dashboardDirectory, name), name)] as const),
    ...Array.from(vendored, ([name, { file }]) => [`vendor/${name}`, load(file, `vendor/${name}`)] as const)
  ])
}

/** Answers requests for the dashboard; the page has no data, which it asks the fleet's endpoints for. */
export const makeDashboard = Effect.fnUntraced(function*() {
  const modules = yield* TranspiledModuleCache
  const realms = yield* RealmTable
  const files = yield* Effect.sync(loadAll)
  const view = internalView()
  const page = files.get("index.html")
  const ofPage = pageHeaders(Buffer.from(page?.bytes ?? []).toString())

  const plain = (request: HttpServerRequest.HttpServerRequest, { bytes, canonicalPath, hash }: SourceFile) =>
    represent(request, view, {
      body: bytes,
      contentType: typeOf(canonicalPath),
      etag: sourceTag(hash),
      headers: canonicalPath === "index.html" ? { ...headers, ...ofPage } : headers
    })

  const module = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, source: SourceFile) {
    const known = modules.peek(view, source)
    // What is to be shared is fenced like all else. Without PostgreSQL it is made here, and the dashboard works all the same.
    const incarnation = known._tag === "Some" ? "" : yield* Effect.orElseSucceed(
      Effect.timeout(Effect.map(realms.read([realmUrl]), (snapshot) => snapshot.incarnation), "1 second"),
      () => ""
    )
    const { origin, value } = yield* modules.get({ ...view, incarnation }, source)
    return yield* represent(request, view, {
      body: value.body,
      contentType: value.headers["content-type"] ?? "text/javascript; charset=utf-8",
      etag: value.headers["etag"] ?? "",
      headers: { ...headers, "x-lockstep-cache": origin === "computed" ? "transpiled" : origin }
    })
  })

  return Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, requestPath: string) {
    if (request.method !== "GET" && request.method !== "HEAD") return methodNotAllowed(request.method, "GET, HEAD")
    // Everything on the page is relative to the path without a slash, so that a proxy may put a prefix before it.
    if (requestPath === `${root}/`) {
      return HttpServerResponse.redirect(`..${root}`, { status: 308, headers: { "cache-control": "no-store" } })
    }
    const name = requestPath === root ? "index.html" : requestPath.slice(root.length + 1)
    const file = files.get(name)
    if (file === undefined) return noSuchEndpoint(requestPath)
    return isExecutable(name) && !name.startsWith("vendor/")
      ? yield* module(request, file)
      : yield* plain(request, file)
  })
})

const typeOf = (name: string): string => {
  if (name.startsWith("vendor/")) return "text/javascript; charset=utf-8"
  const type = Mime.getType(name)
  return `${type._tag === "Some" ? type.value : "text/plain"}; charset=utf-8`
}
