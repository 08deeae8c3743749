/** The media type of a module's source. */
export const sourceType = "application/vnd.lockstep.source"

/** Whether a client takes HTML by name, as browsers that navigate do, and likes it no less than JSON. */
export const wantsHtml = (accept: string): boolean => prefers(accept, "text/html", "application/json")

/** Whether a client wants a module's source by name, and no less than its JavaScript. */
export const wantsSource = (accept: string): boolean => prefers(accept, sourceType, "text/javascript")

const prefers = (accept: string, type: string, other: string): boolean => {
  if (!accept.includes(type)) return false
  const ranges = rangesOf(accept)
  const quality = ranges.get(type) ?? 0
  return quality > 0 && quality >= qualityOf(ranges, other)
}

/** What is said of a type: by its name, or else by the ranges that it is in (RFC 9110, 12.5.1). */
const qualityOf = (ranges: ReadonlyMap<string, number>, type: string): number =>
  ranges.get(type) ?? ranges.get(type.replace(/\/.*/, "/*")) ?? ranges.get("*/*") ?? 0

const rangesOf = (accept: string): ReadonlyMap<string, number> =>
  new Map(
    accept.split(",").map((each) => {
      const [range = "", ...parameters] = each.split(";").map((part) => part.trim().toLowerCase())
      const weight = parameters.find((parameter) => /^q\s*=/.test(parameter))
      return [range, weight === undefined ? 1 : Number(weight.replace(/^q\s*=\s*/, "")) || 0]
    })
  )
