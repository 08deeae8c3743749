import { Context } from "effect"

/**
 * Who sends a request: everybody, where no authentication is configured, and who has the admin token, is the admin; a JWT
 * names a user; replicas and workers of the same database are the fleet, which reads and does not write.
 */
export type Principal =
  | { readonly kind: "admin" }
  | { readonly kind: "fleet" }
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "anonymous" }

export const admin: Principal = { kind: "admin" }
export const fleet: Principal = { kind: "fleet" }
export const anonymous: Principal = { kind: "anonymous" }

/** Who sends the request that the fiber answers. Nobody, unless somebody has found out. */
export const CurrentPrincipal = Context.Reference<Principal>("lockstep/access/CurrentPrincipal", {
  defaultValue: () => anonymous
})
