/** The codings that finished answers come in. Identity is always there. */
export type Coding = "br" | "gzip" | "identity"

/** Browsers send one of a few lists; whoever sends others pays for the reading of theirs. */
const known = new Map<string, Coding>()
const capacity = 100

/** The coding to answer in, by `accept-encoding` (RFC 9110): brotli if it may be, else gzip, else none. */
export const codingFor = (acceptEncoding: string | undefined): Coding => {
  if (acceptEncoding === undefined || acceptEncoding === "") return "identity"
  const found = known.get(acceptEncoding)
  if (found !== undefined) return found
  const coding = negotiate(acceptEncoding)
  if (known.size >= capacity) known.clear()
  known.set(acceptEncoding, coding)
  return coding
}

const negotiate = (header: string): Coding => {
  const weights = new Map<string, number>()
  for (const part of header.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim())
    const weight = parameters.find((parameter) => parameter.startsWith("q="))
    const value = weight === undefined ? 1 : Number(weight.slice(2))
    weights.set(name, Number.isNaN(value) ? 0 : value)
  }
  const weightOf = (coding: string) => weights.get(coding) ?? weights.get("*") ?? 0
  const identity = weights.get("identity") ?? 0
  const brotli = weightOf("br")
  const gzip = weightOf("gzip")
  if (brotli > 0 && brotli >= gzip && brotli >= identity) return "br"
  return gzip > 0 && gzip >= identity ? "gzip" : "identity"
}

/** What is compressed well: text of any kind. Below a packet it is not worth the client's time. */
export const isCompressible = (contentType: string, length: number): boolean =>
  length >= 1024 && /^text\/|json|javascript|xml|wasm|vnd\.lockstep\.source/.test(contentType)
