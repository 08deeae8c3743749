import type { types as t } from "@babel/core"

const maxLength = 500

/** The first paragraph of the JSDoc that belongs to the first of these nodes that has one, on one line. */
export const summaryOf = (...nodes: ReadonlyArray<t.Node | null | undefined>): string | undefined => {
  for (const node of nodes) {
    const comment = node?.leadingComments?.findLast((each) => each.type === "CommentBlock" && each.value[0] === "*")
    if (comment !== undefined) return firstParagraph(comment.value) || undefined
  }
  return undefined
}

const firstParagraph = (comment: string): string => {
  const lines: Array<string> = []
  for (const line of comment.slice(1).split(/\r\n|[\n\r\u2028\u2029]/)) {
    const text = line.replace(/^\s*\*?/, "").trim()
    if (text.startsWith("@") || (text === "" && lines.length > 0)) break
    if (text !== "") lines.push(text)
  }
  const paragraph = lines.join(" ")
  return paragraph.length <= maxLength ? paragraph : `${paragraph.slice(0, maxLength - 1).toWellFormed()}…`
}
