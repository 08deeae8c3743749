import { Effect } from "effect"
import { Command } from "effect/cli"
import { Retired } from "../api/Api.ts"
import { clientFlags, post, print } from "./client.ts"
import { urlArgument } from "./urlArgument.ts"
import { acknowledged } from "./acknowledged.ts"

/** `lockstep unpublish URL` */
export const unpublish = Command.make(
  "unpublish",
  { url: urlArgument("URL", "of a published realm"), ...clientFlags },
  Effect.fnUntraced(function*({ url, ...flags }) {
    const body = yield* post(flags.server, "/_unpublish-realm", { publishedRealmURL: url })
    yield* print(flags, body, Retired, ({ realmURL, replicas }) => `unpublished ${realmURL} ${acknowledged(replicas)}`)
  })
).pipe(
  Command.withDescription("Take a published realm down; its source stays"),
  Command.withExamples([
    { command: "lockstep unpublish http://localhost:4201/published/notes/" }
  ])
)
