import type { FleetEvent } from "./data.ts"
import { millis, plural } from "./format.ts"

export const kinds = [
  "publish",
  "invalidation",
  "cascade",
  "transpile",
  "shared",
  "takeover",
  "failure",
  "lease"
] as const
export type Kind = typeof kinds[number]

/** A word and a sign for each: nothing is told by colour alone. */
export const looks: Record<Kind, { readonly name: string; readonly mark: string; readonly tone: string }> = {
  publish: { name: "Publish", mark: "▲", tone: "good" },
  invalidation: { name: "Invalidation", mark: "↻", tone: "calm" },
  cascade: { name: "Cascade", mark: "↳", tone: "calm" },
  transpile: { name: "Transpile", mark: "◆", tone: "busy" },
  shared: { name: "Shared", mark: "◇", tone: "calm" },
  takeover: { name: "Take-over", mark: "⇄", tone: "warn" },
  failure: { name: "Failure", mark: "✕", tone: "bad" },
  lease: { name: "Lease", mark: "!", tone: "warn" }
}

const causes: Readonly<Record<string, string>> = {
  publish: "a publish",
  unpublish: "an unpublish",
  delete: "the realm's end",
  create: "the realm's creation",
  write: "a write",
  recovery: "a batch that was finished for another writer",
  edit: "an edit on disk",
  call: "an explicit invalidation"
}

/** Why a replica forgot something, and how it came to know. */
const causeOf = ({ by, cause, kind, replicaId, via }: FleetEvent): string => {
  if (kind === "cascade") return "what it was made from has changed"
  const what = cause === undefined ? undefined : causes[cause] ?? cause
  const who = by === undefined || by === replicaId ? "" : ` on ${by}`
  if (via === "catch-up") return "a change that it found in the rows before it was told"
  if (what === undefined) return via === "notification" ? "a notification from outside" : "a change"
  return `${what}${via === "own" ? " here" : who}`
}

const voidedOf = ({ detail, paths }: FleetEvent): string => {
  if (paths === undefined || paths === "*") return "All of it voided"
  if (detail !== undefined) return `${detail} voided`
  return paths.length === 1 ? "Voided" : `${plural(paths.length, "path")} voided`
}

/** One sentence, without the place, which is shown beside it. */
export const narrate = (event: FleetEvent): string => {
  const took = event.millis === undefined ? "" : ` in ${millis(event.millis)}`
  switch (event.kind) {
    case "publish":
      return `Published${took}; ${event.acked} of ${plural(event.live ?? 0, "replica")} applied it` +
        (event.barrierMillis === undefined ? "" : ` within ${millis(event.barrierMillis)}`)
    case "invalidation":
      return `${voidedOf(event)} by ${causeOf(event)}`
    case "cascade":
      return `Definitions voided: ${causeOf(event)}`
    case "transpile":
      return `Transpiled${took}`
    case "shared":
      return `Taken ${
        event.detail?.replace(/^\w+: /, "").replace(/^equal bytes.*/, "from equal bytes that were made before") ?? ""
      }`
    case "takeover":
      return `Taken over: ${event.detail?.replace(/^\w+: /, "") ?? ""}`
    default:
      return `${event.cause === "publish" ? "Publish failed: " : ""}${event.detail ?? "Failed"}`
  }
}

/** This page is made of modules, too: what happens to them is of little interest. */
export const isOfDashboard = ({ realmUrl }: FleetEvent): boolean => realmUrl === "lockstep:dashboard/"

/** The one module that an event is about, if it is one. */
export const moduleOf = ({ kind, path, paths, realmUrl }: FleetEvent): string | undefined => {
  if (realmUrl === undefined || !realmUrl.startsWith("http") || kind === "publish") return undefined
  const one = path ?? (Array.isArray(paths) && paths.length === 1 ? String(paths[0]) : undefined)
  return one === undefined ? undefined : realmUrl + one.split("/").map(encodeURIComponent).join("/")
}

export const placeOf = (event: FleetEvent): string => {
  const realm = event.realmUrl === undefined
    ? ""
    : event.realmUrl.startsWith("http")
    ? new URL(event.realmUrl).pathname
    : "dashboard "
  if (event.path !== undefined) return realm + event.path
  return Array.isArray(event.paths) && event.paths.length > 0
    ? realm + event.paths.slice(0, 3).join(", ") + (event.paths.length > 3 ? " …" : "")
    : realm
}
