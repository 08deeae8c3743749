import { Layer, Logger } from "effect"
import { TerminalCapabilities } from "effect/cli"

/** Logs go to stderr, for people on a terminal and as logfmt elsewhere: stdout is only for what was asked for. */
export const layerLogging = Layer.merge(
  Layer.unwrap(TerminalCapabilities.TerminalCapabilities.useSync(({ canColor }) =>
    Logger.layer([
      process.stderr.isTTY
        ? Logger.consolePrettyTty({ colors: canColor })
        : Logger.withConsoleError(Logger.formatLogFmt)
    ])
  )),
  Layer.succeed(Logger.LogToStderr, true)
)
