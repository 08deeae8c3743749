import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { Invalidated } from "../api/Api.ts"
import { clientFlags, decodeAnswer, post } from "./client.ts"
import { urlArgument } from "./urlArgument.ts"
import { ready, readyDeadline } from "./readiness.ts"

/** `lockstep reindex URL [--wait]` */
export const reindex = Command.make(
  "reindex",
  {
    url: urlArgument("URL", "of a realm of either kind"),
    wait: Flag.Boolean("wait").pipe(
      Flag.withDescription(`return only when all is rendered, within ${readyDeadline}`),
      Flag.withoutNegation,
      Flag.withDefault(false)
    ),
    ...clientFlags
  },
  Effect.fnUntraced(function*({ json, server, url, wait }) {
    const body = yield* post(server, "/_reindex", { realmURL: url })
    const answer = yield* decodeAnswer(server, body, Invalidated)
    if (wait) yield* ready(server, answer)
    if (json) return yield* Console.log(wait ? JSON.stringify({ ...answer, status: "ready" }) : body)
    yield* Console.log(
      `${wait ? "rendered" : "a reindex waits of"} ${answer.realmURL} at generation ${answer.generation}`
    )
  })
).pipe(
  Command.withDescription("Render a realm's instances again where they or their modules have changed"),
  Command.withExamples([
    { command: "lockstep reindex http://localhost:4201/published/notes/ --wait" }
  ])
)
