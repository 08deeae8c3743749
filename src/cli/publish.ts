import { Console, Effect, Option, Schedule, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { HttpClientRequest } from "effect/http"
import { Published } from "../api/Api.ts"
import { acknowledged } from "./acknowledged.ts"
import { clientFlags, decodeAnswer, post, send } from "./client.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { describeProblem } from "./problem.ts"

/** `lockstep publish SOURCE_URL PUBLISHED_URL [--wait]` */
export const publish = Command.make(
  "publish",
  {
    source: Argument.String("SOURCE_URL").pipe(Argument.withDescription("the realm that is edited")),
    published: Argument.String("PUBLISHED_URL").pipe(
      Argument.withDescription("where its snapshot is served; replaces an earlier one")
    ),
    wait: Flag.Boolean("wait").pipe(
      Flag.withDescription("return only when the published realm is ready, within 60 s"),
      Flag.withoutNegation,
      Flag.withDefault(false)
    ),
    ...clientFlags
  },
  Effect.fnUntraced(function*({ json, published, server, source, wait }) {
    const body = yield* post(server, "/_publish-realm", { sourceRealmURL: source, publishedRealmURL: published })
    const answer = yield* decodeAnswer(server, body, Published)
    if (wait) yield* ready(server, answer)
    if (json) return yield* Console.log(wait ? JSON.stringify({ ...answer, status: "ready" }) : body)
    yield* Console.log(
      `published ${answer.realmURL} at generation ${answer.generation} ${acknowledged(answer.replicas)}` +
        (wait ? ", ready" : "")
    )
  })
).pipe(Command.withDescription("Serve a snapshot of a source realm under another URL"))

const readyDeadline = "60 seconds"

const Progress = Schema.fromJsonString(Schema.Struct({ indexed: Schema.Finite, total: Schema.Finite }))
const decodeProgress = Schema.decodeUnknownOption(Progress)

/** Asks until the realm is ready. The server is asked for the realm by its `Host`, whatever its own address is. */
const ready = Effect.fnUntraced(function*(
  server: string,
  { generation, realmURL }: typeof Published.Type
) {
  const url = new URL(realmURL)
  const question = HttpClientRequest.get(`${url.pathname}_readiness-check`).pipe(
    HttpClientRequest.setHeader("host", url.host)
  )
  let progress = ""
  yield* send(server, question).pipe(
    Effect.flatMap(({ body, status }) => {
      if (status === 200) return Effect.succeed(true)
      if (status !== 503) return Effect.fail(new CommandFailed({ message: describeProblem(status, body) }))
      progress = Option.match(decodeProgress(body), {
        onNone: () => "",
        onSome: ({ indexed, total }) => ` (${indexed} of ${total} indexed)`
      })
      return Effect.succeed(false)
    }),
    Effect.repeat({ until: (isReady) => isReady, schedule: Schedule.spaced("200 millis") }),
    Effect.timeoutOrElse({
      duration: readyDeadline,
      orElse: () =>
        Effect.fail(
          new CommandFailed({
            message: `${realmURL} is published at generation ${generation}, ` +
              `but was not ready within ${readyDeadline}${progress}`
          })
        )
    })
  )
})
