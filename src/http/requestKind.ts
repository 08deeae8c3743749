import type { HttpServerResponse } from "effect/http"
import { isExecutable } from "../domain/ModulePath.ts"
import type { RequestKind } from "../domain/Metrics.ts"

const probes: ReadonlySet<string> = new Set(["/_health", "/_metrics", "/_status", "/_realms"])

/** What a request was for, from what was asked and how it was answered: nine kinds, whatever the paths. */
export const kindOf = (
  method: string,
  path: string,
  { headers }: HttpServerResponse.HttpServerResponse
): RequestKind => {
  if (path.startsWith("/_")) return probes.has(path) ? "probe" : "management"
  if (method !== "GET" && method !== "HEAD") return "write"
  const last = path.slice(path.lastIndexOf("/") + 1)
  if (last === "_definitions") return "definitions"
  if (last === "_readiness-check") return "readiness"
  if (last === "_index") return "rendering"
  if (headers["x-lockstep-cache"] !== undefined || isExecutable(last)) return "module"
  if (last === "") return "listing"
  return headers["content-type"]?.startsWith("text/html") === true ? "rendering" : "file"
}

/** The class of a status: `2xx`. */
export const statusClass = (status: number): string => `${Math.floor(status / 100)}xx`
