/** The media type of a module's source. */
export const sourceType = "application/vnd.lockstep.source"

/** Whether a client takes HTML by name, as browsers that navigate do. */
export const wantsHtml = (accept: string): boolean =>
  accept.includes("text/html") && !/\btext\/html\b[^,]*;\s*q=0(?:\.0*)?\s*(?:,|;|$)/.test(accept)

/** Whether a client wants a module's source, not its JavaScript. */
export const wantsSource = (accept: string): boolean => accept.includes(sourceType)
