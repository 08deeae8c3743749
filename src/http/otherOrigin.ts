const safe = new Set(["GET", "HEAD", "OPTIONS"])

/**
 * Whether a browser sends this for a page of another origin, which must not write with what its visitor can reach. Whoever
 * is no browser sends neither header, and passes.
 *
 * `sec-fetch-site` is the browser's own word, but is sent to trustworthy addresses only (https, loopback). A page of the
 * same site may be another port's or a neighbour's, so there `origin` decides.
 */
export const isOfOtherOrigin = (
  method: string,
  headers: { readonly [name: string]: string | undefined },
  ownOrigin: string
): boolean => {
  if (safe.has(method)) return false
  const site = headers["sec-fetch-site"]
  if (site === "same-origin" || site === "none") return false
  if (site === "cross-site") return true
  const origin = headers["origin"]
  if (origin === undefined) return false
  // A proxy that ends TLS leaves the host as it was. `null` is what a sandbox has.
  return !URL.canParse(origin) || new URL(origin).host !== new URL(ownOrigin).host
}
