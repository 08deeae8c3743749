import { Console, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { HttpClientRequest } from "effect/http"
import { Published } from "../api/Api.ts"
import { acknowledged } from "./acknowledged.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { clientFlags, decodeAnswer, post, print, send } from "./client.ts"
import { describeProblem } from "./problem.ts"

/** `lockstep publish SOURCE_URL PUBLISHED_URL [--wait]` */
export const publish = Command.make(
  "publish",
  {
    source: Argument.String("SOURCE_URL").pipe(Argument.withDescription("the realm that is edited")),
    published: Argument.String("PUBLISHED_URL").pipe(
      Argument.withDescription("where its snapshot is served; an earlier one is replaced")
    ),
    wait: Flag.Boolean("wait").pipe(
      Flag.withDescription("return when the published realm is indexed as well"),
      Flag.withoutNegation,
      Flag.withDefault(false)
    ),
    ...clientFlags
  },
  Effect.fnUntraced(function*({ published, source, wait, ...flags }) {
    const body = yield* post(flags.server, "/_publish-realm", { sourceRealmURL: source, publishedRealmURL: published })
    const answer = yield* decodeAnswer(flags.server, body, Published)
    if (wait) yield* ready(flags.server, answer.realmURL)
    yield* print(
      flags,
      wait ? JSON.stringify({ ...answer, status: "ready" }) : body,
      Schema.Unknown,
      () => `published ${answer.realmURL} at generation ${answer.generation} ${acknowledged(answer.replicas)}`
    )
  })
).pipe(Command.withDescription("Serve a snapshot of a source realm under another URL"))

const readyDeadline = "60 seconds"

const Readiness = Schema.fromJsonString(
  Schema.Struct({
    ready: Schema.Boolean,
    indexed: Schema.optionalKey(Schema.Finite),
    total: Schema.optionalKey(Schema.Finite)
  })
)
