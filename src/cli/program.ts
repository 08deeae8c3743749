import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Console, Effect, Layer } from "effect"
import { CliConfig, CliOutput, Command, GlobalFlag } from "effect/cli"
import { coloursFor } from "./colours.ts"
import { type CommandFailed, UsageError } from "./CommandFailed.ts"
import { configured, CurrentConfig } from "./config/configured.ts"
import { create } from "./create.ts"
import { definitions } from "./definitions.ts"
import { deleteRealm } from "./delete.ts"
import { doctor } from "./doctor.ts"
import { demo } from "./demo.ts"
import { layerLogging } from "./logging.ts"
import { grant, permissions, revoke } from "./permissions.ts"
import { presenter } from "./presenter.ts"
import { publish } from "./publish.ts"
import { reindex } from "./reindex.ts"
import { realms } from "./realms.ts"
import { restored } from "./restored.ts"
import { serve } from "./serve.ts"
import { status } from "./status.ts"
import { tokenFileFlag, tokenFlag } from "./token.ts"
import { unpublish } from "./unpublish.ts"
import { verify } from "./verify.ts"
import { warm } from "./warm.ts"
import { worker } from "./worker.ts"

/** The whole command tree. */
export const lockstep = Command.make("lockstep").pipe(
  Command.withDescription("Serves transpiled ES modules from many replicas as if they were one."),
  Command.withExamples([
    { command: "lockstep serve ./realms", description: "start a replica; every directory in ./realms is a realm" },
    { command: "lockstep publish http://localhost:4201/notes/ http://localhost:4201/live/ --wait" },
    { command: "lockstep doctor", description: "look at what replicas stand on" },
    {
      command: "lockstep --completions bash >> ~/.bashrc",
      description: "complete commands and flags; zsh and fish too"
    }
  ]),
  Command.withSubcommands([
    serve,
    worker,
    create,
    publish,
    reindex,
    unpublish,
    deleteRealm,
    grant,
    revoke,
    permissions,
    realms,
    definitions,
    status,
    verify,
    doctor,
    restored,
    warm,
    demo
  ]),
  Command.withGlobalFlags([tokenFlag, tokenFileFlag])
)

/** Of effect's own flags, those that every command has. */
export const layerBuiltIns = CliConfig.layer({
  builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]
})

// A variable that is set to nothing, as compose files do, is not set.
const environment = (env: NodeJS.ProcessEnv) =>
  ConfigProvider.fromEnv({
    env: Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) => value === undefined || value === "" ? [] : [[name, value]])
    )
  })

// Names alone: a value may be secret.
const flagNames = (flags: ReadonlyArray<string>) => flags.map((flag) => flag.split("=", 1)[0]).join(" ")
const describeFailure = ({ hint, message }: CommandFailed): string => {
  const { bold, red } = coloursFor(process.stderr)
  return `${red("error:")} ${message}${hint === undefined ? "" : `\n${bold("hint:")} ${hint}`}`
}

/**
 * The whole command line. It fails with `CommandFailed` (exit 1) or `UsageError` (exit 2), and has told the user by
 * then.
 */
export const program = (version: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
  Effect.flatMap(configured(args, env), ({ added, args, config }) =>
    Command.runWith(lockstep, { version })(args).pipe(
      Effect.catchTag("ShowHelp", ({ errors }) => {
        if (errors.length === 0) return Effect.void
        const note = added.length === 0 ? Effect.void : Console.error(`note: ${config.file} adds ${flagNames(added)}`)
        return Effect.andThen(note, new UsageError())
      }),
      Effect.provideService(CurrentConfig, config)
    )).pipe(
      Effect.catchTag("CommandFailed", (failed) => Effect.andThen(Console.error(describeFailure(failed)), failed)),
      // Here, where the logger is ours: a bug's stack trace does not belong on stdout either.
      Effect.tapDefect((defect) => Effect.logFatal("This is a bug in Lockstep", defect)),
      Effect.provide(Layer.mergeAll(
        NodeServices.layer,
        layerLogging(),
        CliOutput.layerPresenter(presenter),
        layerBuiltIns,
        ConfigProvider.layer(environment(env))
      ))
    )
