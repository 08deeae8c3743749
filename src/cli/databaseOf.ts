import * as fs from "node:fs/promises"
import * as path from "node:path"
import { Effect, Option, type Redacted } from "effect"
import { CommandFailed } from "./CommandFailed.ts"
import { prepareDirectories } from "./prepareDirectories.ts"
import { embeddedDatabase } from "./replica.ts"

/** A worker has nothing to do on a database of its own: it takes the jobs of replicas that are there. */
const hasDatabase = (dataDir: string) => {
  const data = path.resolve(dataDir)
  return Effect.tryPromise({
    try: () => fs.lstat(path.join(data, "postgres")),
    catch: () =>
      new CommandFailed({
        message: `there is no database of replicas in the data directory ${data}: give the --data-dir of ` +
          "`lockstep serve`, which must have run once, or the database that the replicas use with --database-url"
      })
  })
}

/** The database of replicas: the one that is named, or the embedded one of their data directory, which must be there. */
export const databaseOf = (flags: {
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly dataDir: string
}) =>
  Option.match(flags.databaseUrl, {
    onNone: () =>
      Effect.andThen(
        hasDatabase(flags.dataDir),
        Effect.flatMap(prepareDirectories(flags.dataDir, undefined), ({ dataDir }) => embeddedDatabase(dataDir))
      ),
    onSome: Effect.succeed
  })
