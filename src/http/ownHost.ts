import { isIP } from "node:net"
import type { RealmUrl } from "../domain/RealmUrl.ts"

/**
 * Whether a host name is surely this server's, and not one that somebody else pointed at this machine (DNS rebinding): a
 * page of such a host would be of our own origin. Addresses cannot be pointed anywhere.
 */
export const isOwnHost = (origin: string, publicUrl: RealmUrl, advertised: string): boolean => {
  const { hostname } = new URL(origin)
  if (isIP(hostname.replace(/^\[|\]$/g, "")) !== 0) return true
  if (hostname === "localhost" || hostname.endsWith(".localhost")) return true
  return [publicUrl, advertised].some((own) => URL.canParse(own) && new URL(own).hostname === hostname)
}
