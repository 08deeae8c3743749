import { Console, Context, Effect } from "effect"
import { CliOutput } from "effect/cli"

/**
 * Help goes to stdout, as asked for. A wrong command line gets what is wrong and the usage on stderr, not the whole
 * help, in which the one line that matters would drown.
 */
export const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function*(event) {
    if (event._tag !== "InvalidInvocation") return yield* CliOutput.defaultPresenter.present(event)
    const context = yield* Effect.context<never>()
    const formatter = Context.get(context, CliOutput.Formatter)
    for (const error of event.errors) yield* Console.error(`error: ${formatter.formatCliError(error)}`)
    yield* Console.error(`usage: ${event.helpDoc.usage}\nSee: ${event.commandPath.join(" ")} --help`)
  })
}
