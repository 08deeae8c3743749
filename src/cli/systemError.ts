interface CodedError extends Error {
  readonly code: string
}

const isCoded = (error: Error): error is CodedError => "code" in error && typeof error.code === "string"

/** The first error with a system's or PostgreSQL's code (`ECONNREFUSED`, `28P01`), however deep it was wrapped. */
export const systemError = (error: unknown): CodedError | undefined => {
  const seen = new Set<unknown>()
  const queue = [error]
  while (queue.length > 0) {
    const next = queue.shift()
    if (typeof next !== "object" || next === null || seen.has(next)) continue
    seen.add(next)
    if (next instanceof Error && isCoded(next)) return next
    if (next instanceof AggregateError) queue.push(...next.errors)
    if ("cause" in next) queue.push(next.cause)
    if ("reason" in next) queue.push(next.reason)
  }
  return undefined
}

/** The innermost error's own words. */
export const rootMessage = (error: unknown): string => {
  const known = systemError(error)
  if (known !== undefined) return known.message === "" ? known.code : known.message
  let innermost = error
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause
  return innermost instanceof Error ? innermost.message : String(innermost)
}
