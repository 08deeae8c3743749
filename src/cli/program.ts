import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Console, Effect, Layer } from "effect"
import { CliConfig, CliOutput, Command, GlobalFlag } from "effect/cli"
import { UsageError } from "./CommandFailed.ts"
import { create } from "./create.ts"
import { definitions } from "./definitions.ts"
import { deleteRealm } from "./delete.ts"
import { demo } from "./demo.ts"
import { layerLogging } from "./logging.ts"
import { presenter } from "./presenter.ts"
import { publish } from "./publish.ts"
import { reindex } from "./reindex.ts"
import { realms } from "./realms.ts"
import { restored } from "./restored.ts"
import { serve } from "./serve.ts"
import { status } from "./status.ts"
import { unpublish } from "./unpublish.ts"
import { verify } from "./verify.ts"
import { warm } from "./warm.ts"
import { worker } from "./worker.ts"

const lockstep = Command.make("lockstep").pipe(
  Command.withDescription("Serves transpiled ES modules from many replicas as if they were one."),
  Command.withSubcommands([
    serve,
    worker,
    create,
    publish,
    reindex,
    unpublish,
    deleteRealm,
    realms,
    definitions,
    status,
    verify,
    restored,
    warm,
    demo
  ])
)

// A variable that is set to nothing, as compose files do, is not set.
const environment = (env: NodeJS.ProcessEnv) =>
  ConfigProvider.fromEnv({
    env: Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) => value === undefined || value === "" ? [] : [[name, value]])
    )
  })

/**
 * The whole command line. It fails with `CommandFailed` (exit 1) or `UsageError` (exit 2), and has told the user by
 * then.
 */
export const program = (version: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
  Command.runWith(lockstep, { version })(args).pipe(
    Effect.catchTags({
      CommandFailed: (failed) => Effect.andThen(Console.error(`error: ${failed.message}`), failed),
      ShowHelp: ({ errors }) => errors.length === 0 ? Effect.void : new UsageError()
    }),
    // Here, where the logger is ours: a bug's stack trace does not belong on stdout either.
    Effect.tapDefect((defect) => Effect.logFatal("This is a bug in Lockstep", defect)),
    Effect.provide(Layer.mergeAll(
      NodeServices.layer,
      layerLogging,
      CliOutput.layerPresenter(presenter),
      CliConfig.layer({
        builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]
      }),
      ConfigProvider.layer(environment(env))
    ))
  )
