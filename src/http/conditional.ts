import type { Expectation } from "../lifecycle/write.ts"

/** Whether the client has this representation already (RFC 9110, `If-None-Match` compares weakly). */
export const matches = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  (header === etag || header.trim() === "*" ||
    header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag))

// What was sent with the bytes, the client still has; what is left is what it compares, and how long it may trust it.
const repeated = /^(?:cache-control|etag|vary|access-control-.*|x-lockstep-(?:cache|generation|replica))$/

/** What a 304 says of a representation (RFC 9110, 15.4.5). */
export const unchangedHeadersOf = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => repeated.test(name)))

/** The tag of a file's bytes, and of a module's source, by their hash. */
export const sourceTag = (hash: string): string => `"src-${hash.slice(0, 32)}"`

/**
 * What a write's `If-Match` and `If-None-Match` say of the file that it replaces or removes: its bytes, in whatever coding
 * they were fetched, and not the JavaScript that a module is served as. That may be the same for two sources.
 */
export const expectationOf = (
  headers: { readonly [name: string]: string | undefined }
): Expectation | undefined => {
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  return (hash) =>
    (ifMatch === undefined || (hash !== undefined && names(ifMatch, hash))) &&
    (ifNoneMatch === undefined || hash === undefined || !names(ifNoneMatch.replaceAll("W/", ""), hash))
}

const names = (header: string, hash: string): boolean =>
  header.trim() === "*" ||
  header.split(",").some((candidate) => candidate.trim().replace(/-(?:br|gzip)"$/, "\"") === sourceTag(hash))
