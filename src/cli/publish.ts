import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { Published } from "../api/Api.ts"
import { acknowledged } from "./acknowledged.ts"
import { clientFlags, decodeAnswer, post, privateFlag } from "./client.ts"
import { urlArgument } from "./urlArgument.ts"
import { ready } from "./readiness.ts"

/** `lockstep publish SOURCE_URL PUBLISHED_URL [--wait]` */
export const publish = Command.make(
  "publish",
  {
    source: urlArgument("SOURCE_URL", "the realm that is edited"),
    published: urlArgument("PUBLISHED_URL", "where its snapshot is served; replaces an earlier one"),
    wait: Flag.Boolean("wait").pipe(
      Flag.withDescription("return only when the published realm is ready, within 60 s"),
      Flag.withoutNegation,
      Flag.withDefault(false)
    ),
    private: privateFlag("only who is given permission may read it (as it is; public where it is new)"),
    ...clientFlags
  },
  Effect.fnUntraced(function*({ json, private: isPrivate, published, server, source, wait }) {
    const body = yield* post(server, "/_publish-realm", {
      sourceRealmURL: source,
      publishedRealmURL: published,
      ...(isPrivate ? { private: true } : {})
    })
    const answer = yield* decodeAnswer(server, body, Published)
    if (wait) yield* ready(server, answer)
    if (json) return yield* Console.log(wait ? JSON.stringify({ ...answer, status: "ready" }) : body)
    yield* Console.log(
      `published ${answer.realmURL} at generation ${answer.generation} ${acknowledged(answer.replicas)}` +
        (wait ? ", ready" : "")
    )
  })
).pipe(
  Command.withDescription("Serve a snapshot of a source realm under another URL"),
  Command.withExamples([
    {
      command: "lockstep publish http://localhost:4201/notes/ http://localhost:4201/published/notes/ --wait",
      description: "return when it is rendered as well"
    },
    {
      command: "lockstep publish http://localhost:4201/notes/ http://localhost:4201/published/notes/ --json",
      description: "for a script"
    }
  ])
)
