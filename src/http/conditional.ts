/** Whether the client has this representation already (RFC 9110, `If-None-Match` compares weakly). */
export const matches = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  (header === etag || header.trim() === "*" ||
    header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag))
