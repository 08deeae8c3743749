const width = 30

/** Progress on a terminal, on one line that is written again and again; nothing anywhere else. */
export const makeBar = (
  terminal: { readonly isTTY?: boolean; readonly write: (text: string) => unknown },
  what: string
) => {
  let shown = false
  return {
    show: (done: number, total: number) => {
      if (terminal.isTTY !== true || total === 0) return
      shown = true
      const filled = Math.round(width * Math.min(1, done / total))
      terminal.write(`\r\u001b[2K${"█".repeat(filled)}${"░".repeat(width - filled)} ${done} of ${total} ${what}`)
    },
    clear: () => {
      if (shown) terminal.write("\r\u001b[2K")
    }
  }
}
