const linesAbove = 2
const linesBelow = 3
const widest = 160

/** NUL bytes and escape sequences of a binary file must not reach a terminal or break a JSON reader. */
export const printable = (text: string) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd")

/**
 * The lines around a position with a caret below it, in the shape of Babel's frames. Line and column are 1-based.
 * Minified files have lines of megabytes, so only a window around the column is shown.
 */
export const codeFrame = (source: string, line: number, column: number): string => {
  const lines = source.split(/\r\n|[\n\r\u2028\u2029]/)
  const first = Math.max(1, line - linesAbove)
  const last = Math.min(lines.length, line + linesBelow)
  const left = column <= widest ? 0 : column - 1 - widest / 2
  const gutter = String(last).length
  const frame: Array<string> = []
  for (let n = first; n <= last; n++) {
    const text = printable((lines[n - 1] ?? "").slice(left, left + widest))
    frame.push(`${n === line ? ">" : " "} ${String(n).padStart(gutter)} |${text === "" ? "" : ` ${text}`}`)
    if (n === line) {
      const indent = text.slice(0, column - 1 - left).replace(/[^\t]/g, " ")
      frame.push(`  ${" ".repeat(gutter)} | ${indent}^`)
    }
  }
  return frame.join("\n")
}
