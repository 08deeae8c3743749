import type { Principal } from "../access/Principal.ts"

/** Everybody may ask these, with or without credentials: a load balancer, a generator of clients. */
const open: ReadonlySet<string> = new Set(["/_health", "/_ready", "/_openapi.json", "/_docs"])

/** A user may ask these. What it may do with which realm, the endpoint decides. */
const ofUsers: ReadonlySet<string> = new Set([
  "/_create-realm",
  "/_delete-realm",
  "/_invalidate",
  "/_permissions",
  "/_publish-realm",
  "/_realms",
  "/_reindex",
  "/_status",
  "/_unpublish-realm"
])

/** Whether an endpoint of Lockstep's own answers at all without knowing who asks. */
export const isOpen = (path: string): boolean => open.has(path)

/**
 * Whether a principal may ask an endpoint of Lockstep's own. What is not listed here is the admin's, and the fleet's to
 * read: an endpoint that somebody adds is closed until somebody opens it.
 */
export const mayAsk = (principal: Principal, method: string, path: string): boolean => {
  switch (principal.kind) {
    case "admin":
      return true
    case "fleet":
      return method === "GET" || method === "HEAD"
    case "user":
      return isOpen(path) || ofUsers.has(path)
    case "anonymous":
      return isOpen(path)
  }
}
