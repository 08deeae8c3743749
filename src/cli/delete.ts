import { Effect } from "effect"
import { Command } from "effect/cli"
import { Retired } from "../api/Api.ts"
import { acknowledged } from "./acknowledged.ts"
import { clientFlags, post, print } from "./client.ts"
import { urlArgument } from "./urlArgument.ts"

/** `lockstep delete URL` */
export const deleteRealm = Command.make(
  "delete",
  { url: urlArgument("URL", "of a realm"), ...clientFlags },
  Effect.fnUntraced(function*({ url, ...flags }) {
    const body = yield* post(flags.server, "/_delete-realm", { realmURL: url })
    yield* print(flags, body, Retired, ({ realmURL, replicas }) => `deleted ${realmURL} ${acknowledged(replicas)}`)
  })
).pipe(
  Command.withDescription("Delete a realm and its files"),
  Command.withExamples([
    { command: "lockstep delete http://localhost:4201/notes/", description: "a source realm goes with its files" }
  ])
)
