/** A request's path and query, as sent: what is before its first question mark, and what is after. */
export const splitQuery = (url: string): { readonly path: string; readonly query: string } => {
  const at = url.indexOf("?")
  return at < 0 ? { path: url, query: "" } : { path: url.slice(0, at), query: url.slice(at + 1) }
}

/** Of what the query of a realm's file may say, this alone makes a difference. */
export const asksForSource = (query: URLSearchParams): boolean => query.has("source")
