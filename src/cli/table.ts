import { CliOutput } from "effect/cli"

/** Left-aligned columns as wide as their widest cell, two spaces apart. */
export const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => CliOutput.displayWidth(line[column] ?? ""))))
  return lines.map((line) =>
    widths.map((width, column) => {
      const cell = line[column] ?? ""
      return cell + " ".repeat(width - CliOutput.displayWidth(cell))
    }).join("  ").trimEnd()
  ).join("\n")
}
