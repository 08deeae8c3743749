import { Runtime, Schema } from "effect"

/** A command that could not do its work (exit 1). The message says in one line what is wrong; a hint, what to do next. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>("lockstep/cli/CommandFailed")("CommandFailed", {
  message: Schema.String,
  hint: Schema.optionalKey(Schema.String)
}) {
  // The program prints the message itself, without a stack trace.
  override readonly [Runtime.errorReported] = false
}

/** The command line is wrong (exit 2), which has been said already. */
export class UsageError extends Schema.TaggedError<UsageError>("lockstep/cli/UsageError")("UsageError", {}) {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = 2
}
