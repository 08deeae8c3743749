import { Console, Effect } from "effect"
import { CliOutput } from "effect/cli"
import { canColour, coloursFor } from "./colours.ts"

/**
 * Help goes to stdout, as asked for. A wrong command line gets what is wrong and the usage on stderr, not the whole
 * help, in which the one line that matters would drown.
 */
export const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function*(event) {
    const formatter = CliOutput.defaultFormatter({ colors: canColour(process.stdout) })
    if (event._tag !== "InvalidInvocation") {
      return yield* Effect.provideService(CliOutput.defaultPresenter.present(event), CliOutput.Formatter, formatter)
    }
    const { red } = coloursFor(process.stderr)
    for (const error of event.errors) yield* Console.error(`${red("error:")} ${formatter.formatCliError(error)}`)
    yield* Console.error(`usage: ${event.helpDoc.usage}\nSee: ${event.commandPath.join(" ")} --help`)
  })
}
