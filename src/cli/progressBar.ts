const longest = 30
const shortest = 4

interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

/** Progress on a terminal, on one line that is written again and again and fits; nothing anywhere else. */
export const makeBar = (terminal: Terminal, what: string, term = process.env["TERM"]) => {
  let shown = false
  return {
    show: (done: number, total: number) => {
      if (terminal.isTTY !== true || term === "dumb" || total === 0) return
      shown = true
      const text = ` ${done} of ${total} ${what}`
      const columns = terminal.columns || 80
      const width = Math.max(shortest, Math.min(longest, columns - text.length - 1))
      const filled = Math.round(width * Math.min(1, done / total))
      // A line that wraps could not be written again.
      terminal.write(`\r\u001b[2K${`${"█".repeat(filled)}${"░".repeat(width - filled)}${text}`.slice(0, columns - 1)}`)
    },
    clear: () => {
      if (shown) terminal.write("\r\u001b[2K")
    }
  }
}
