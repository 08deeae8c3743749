import { Console, Effect, Option, type Redacted } from "effect"
import { raiseGenerationsOf } from "../Lockstep.ts"
import { databaseOf } from "./databaseOf.ts"
import { databaseFailure, startupFailure } from "./startupFailure.ts"

/** Raises every generation past any that was issued before the database went back. */
export const raiseGenerations = Effect.fnUntraced(
  function*(flags: { readonly databaseUrl: Option.Option<Redacted.Redacted>; readonly dataDir: string }) {
    const url = yield* databaseOf(flags)
    const realms = yield* raiseGenerationsOf({ url, applicationName: "lockstep restored", maxConnections: 1 }).pipe(
      Effect.mapError(Option.isSome(flags.databaseUrl) ? databaseFailure(url) : startupFailure)
    )
    yield* Console.log(
      `the generations of ${realms} ${realms === 1 ? "realm" : "realms"} were raised past all that were ever issued; ` +
        "replicas that run drop what they hold of them within a lease"
    )
  },
  Effect.scoped
)
