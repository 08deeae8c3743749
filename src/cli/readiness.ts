import { Effect, Option, Schedule, Schema } from "effect"
import { HttpClientRequest } from "effect/http"
import { refused, send } from "./client.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { makeBar } from "./progressBar.ts"

/** How long a command waits for renderings. */
export const readyDeadline = "60 seconds"

const Progress = Schema.fromJsonString(Schema.Struct({
  indexed: Schema.Finite,
  total: Schema.Finite,
  state: Schema.optionalKey(Schema.String),
  error: Schema.optionalKey(Schema.String)
}))
const decodeProgress = Schema.decodeUnknownOption(Progress)

/** Asks until the realm is ready. The server is asked for the realm by its `Host`, whatever its own address is. */
export const ready = Effect.fnUntraced(function*(
  server: string,
  { generation, realmURL }: { readonly generation: number; readonly realmURL: string }
) {
  const url = new URL(realmURL)
  const question = HttpClientRequest.get(`${url.pathname}_readiness-check`).pipe(
    HttpClientRequest.setHeader("host", url.host)
  )
  const bar = makeBar(process.stderr, "rendered")
  let progress = ""
  yield* send(server, question).pipe(
    Effect.flatMap(({ body, status }) => {
      if (status === 200) return Effect.succeed(true)
      if (status !== 503) return Effect.fail(refused(status, body))
      const now = Option.getOrUndefined(decodeProgress(body))
      if (now?.state === "dead") {
        return Effect.fail(
          new CommandFailed({ message: `${realmURL} could not be rendered: ${now.error ?? "see lockstep status"}` })
        )
      }
      progress = now === undefined ? "" : ` (${now.indexed} of ${now.total} indexed)`
      if (now !== undefined) bar.show(now.indexed, now.total)
      return Effect.succeed(false)
    }),
    Effect.repeat({ until: (isReady) => isReady, schedule: Schedule.spaced("200 millis") }),
    Effect.timeoutOrElse({
      duration: readyDeadline,
      orElse: () =>
        Effect.fail(
          new CommandFailed({
            message: `${realmURL} is at generation ${generation}, but was not ready within ${readyDeadline}${progress}`,
            hint: "rendering goes on: \"lockstep status\" shows its job, and why it fails if it does"
          })
        )
    }),
    Effect.ensuring(Effect.sync(bar.clear))
  )
})
