import { CliOutput } from "effect/cli"
import { coloursFor, widthOf } from "./colours.ts"

const gap = 2

/** No column is made narrower than this. */
const narrowest = 8

/**
 * Left-aligned columns as wide as their widest cell, two spaces apart. On a terminal, where that is too wide, the widest
 * columns give way: a table that wraps is none. A pipe or a file gets everything.
 */
export const table = (
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  width = widthOf(process.stdout),
  { bold } = coloursFor(process.stdout)
): string => {
  const lines = [header, ...rows]
  const widths = fit(
    header.map((_, column) => Math.max(...lines.map((line) => widthOfText(line[column] ?? "")))),
    width
  )
  return lines.map((line, at) => {
    const text = widths.map((width, column) => {
      const cell = clip(line[column] ?? "", width)
      return cell + " ".repeat(width - widthOfText(cell))
    }).join(" ".repeat(gap)).trimEnd()
    return at === 0 ? bold(text) : text
  }).join("\n")
}

// Most text is plain, and counting graphemes takes a hundred times as long.
const widthOfText = (text: string): number => /^[ -~]*$/.test(text) ? text.length : CliOutput.displayWidth(text)

const fit = (wanted: ReadonlyArray<number>, width: number): ReadonlyArray<number> => {
  const widths = [...wanted]
  let excess = widths.reduce((sum, each) => sum + each, gap * (widths.length - 1)) - width
  while (excess > 0) {
    const [widest = 0, next = narrowest] = widths.toSorted((a, b) => b - a)
    if (widest <= narrowest) break
    const taken = Math.max(1, Math.min(excess, widest - Math.max(next, narrowest)))
    widths[widths.indexOf(widest)] = widest - taken
    excess -= taken
  }
  return widths
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** As many graphemes as have room, from this end. */
const take = (parts: ReadonlyArray<string>, width: number): string => {
  let taken = ""
  for (const part of parts) {
    if (widthOfText(taken + part) > width) break
    taken += part
  }
  return taken
}

/** Text is known by its beginning, and a URL by its end. */
const clip = (cell: string, width: number): string => {
  if (widthOfText(cell) <= width) return cell
  const parts = Array.from(graphemes.segment(cell), ({ segment }) => segment)
  if (!cell.includes("://")) return `${take(parts, width - 1)}…`
  let tail: ReadonlyArray<string> = []
  for (const part of parts.toReversed()) {
    if (widthOfText([part, ...tail].join("")) > width - 1) break
    tail = [part, ...tail]
  }
  return `…${tail.join("")}`
}
