const beforeOperand: ReadonlySet<string> = new Set(
  "await case default delete do else extends in instanceof new return throw typeof void yield".split(" ")
)

/** Behind one of these an operand comes. `>` may close type arguments, and `+` and `-` may be doubled behind theirs. */
const operators: ReadonlySet<string> = new Set("(,=:[&|?{;~^%*/")

const lineBreak = /[\n\r\u2028\u2029]/

/** Stands for the last token where it was a string, a template or a regular expression. */
const literal = "literal"

const word = /(?:[\w$\\]|[^\x00-\x7f\s])+/y
const regularExpression = /\/(?![*/])(?:[^\\/[\n\r\u2028\u2029]|\\.|\[(?:[^\]\\\n\r\u2028\u2029]|\\.)*\])+\/\w*/y

/**
 * The source without what comments, strings, templates' text and regular expressions say: a comment is left as a space or
 * a line break, the others as a string without text. Only for JavaScript and TypeScript without JSX, whose text has rules
 * of its own.
 *
 * `undefined`: a slash may begin a regular expression or divide, and to know it takes a parser. What is returned is right
 * for every source that parses: a slash is only taken for one of the two where the other would be a syntax error.
 */
export const codeOnly = (source: string): string | undefined => {
  const kept: Array<string> = []
  // of each `${` that is open, how many braces were open before it
  const templates: Array<number> = []
  let braces = 0
  let at = 0
  let plainFrom = 0
  // the last token, and where it ends
  let last = ""
  let lastEnd = 0

  const skipTo = (end: number, sign: string = lineBreak.test(source.slice(at, end)) ? "\n" : " ") => {
    kept.push(source.slice(plainFrom, at), sign)
    at = plainFrom = end
  }
  const skipToken = (end: number) => {
    skipTo(end, `""`)
    last = literal
    lastEnd = end
  }
  /** Past a template's text, from behind its backtick or closing brace; false if it does not end. */
  const skipTemplateText = (from: number): boolean => {
    for (let i = from; i < source.length; i++) {
      const c = source[i]
      if (c === "\\") i++
      else if (c === "`") {
        skipToken(i + 1)
        return true
      } else if (c === "$" && source[i + 1] === "{") {
        skipTo(i + 2)
        templates.push(braces)
        last = "{"
        return true
      }
    }
    return false
  }

  while (at < source.length) {
    const c = source.charCodeAt(at)
    if (c <= 32) at++
    else if (c === 0x2f && source[at + 1] === "/") skipTo(endOfLine(source, at))
    else if (c === 0x2f && source[at + 1] === "*") {
      const end = source.indexOf("*/", at + 2)
      if (end === -1) return undefined
      skipTo(end + 2)
    } else if (c === 0x23 && at === 0 && source[1] === "!") skipTo(endOfLine(source, at))
    else if (c === 0x22 || c === 0x27) {
      const end = endOfString(source, at, c)
      if (end === undefined) return undefined
      skipToken(end)
    } else if (c === 0x60) {
      if (!skipTemplateText(at + 1)) return undefined
    } else if (c === 0x2f) {
      const slash = slashAfter(source, last, lastEnd, at)
      if (slash === "unknown") return undefined
      regularExpression.lastIndex = at
      if (slash === "divides") {
        last = "/"
        at++
      } else if (regularExpression.test(source)) skipToken(regularExpression.lastIndex)
      else return undefined
    } else if (c === 0x7d && templates.length > 0 && templates.at(-1) === braces) {
      templates.pop()
      if (!skipTemplateText(at + 1)) return undefined
    } else {
      word.lastIndex = at
      if (word.test(source)) {
        // behind a dot even `in` is a name
        last = last === "." || last === "#" ? "name" : source.slice(at, word.lastIndex)
        at = word.lastIndex
        lastEnd = at
      } else if (c > 127) at++ // a space of another kind
      else if (source.startsWith("...", at)) {
        last = "..."
        lastEnd = at += 3
      } else {
        if (c === 0x7b) braces++
        else if (c === 0x7d) braces--
        if (c === 0x21) last = comesOperand(last) ? "(" : "!"
        else last = last === "=" && c === 0x3e ? "=>" : source.charAt(at)
        lastEnd = ++at
      }
    }
  }
  kept.push(source.slice(plainFrom))
  return kept.join("")
}

const endOfLine = (source: string, from: number): number => {
  for (let i = from; i < source.length; i++) {
    const c = source.charCodeAt(i)
    if (c === 0x0a || c === 0x0d || c === 0x2028 || c === 0x2029) return i
  }
  return source.length
}

const endOfString = (source: string, from: number, quote: number): number | undefined => {
  for (let i = from + 1; i < source.length; i++) {
    const c = source.charCodeAt(i)
    if (c === quote) return i + 1
    if (c === 0x0a || c === 0x0d) return undefined
    if (c === 0x5c) i += source.startsWith("\r\n", i + 1) ? 2 : 1
  }
  return undefined
}

/** An exclamation mark here negates; behind an operand it asserts. */
const comesOperand = (last: string) => last === "" || last === "=>" || beforeOperand.has(last) || operators.has(last)

const slashAfter = (source: string, last: string, lastEnd: number, at: number): "divides" | "begins" | "unknown" => {
  if (comesOperand(last)) return "begins"
  const line = source.slice(at + 1, endOfLine(source, at))
  // a regular expression ends on its line
  if (!line.includes("/")) return "divides"
  // between two of these on one line there is no end of a statement
  const isOperand = last === "]" || (last !== "of" && /^(?:[\w$]|[^\x00-\x7f])+$/.test(last))
  return isOperand && endOfLine(source, lastEnd) >= at ? "divides" : "unknown"
}
