import { Clock, Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { CommandFailed } from "../CommandFailed.ts"
import { describeProblem } from "../problem.ts"

export interface Answer {
  readonly status: number
  readonly body: string
  /** `x-lockstep-cache` */
  readonly cache: string
  /** `x-lockstep-replica` */
  readonly replica: string
  readonly millis: number
}

const answerDeadline = "30 seconds"

/** Sends a request and takes its time. */
export const request = Effect.fnUntraced(
  function*(message: HttpClientRequest.HttpClientRequest) {
    const began = yield* Clock.currentTimeNanos
    const response = yield* HttpClient.execute(message)
    const body = yield* response.text
    const answer: Answer = {
      status: response.status,
      body,
      cache: response.headers["x-lockstep-cache"] ?? "-",
      replica: response.headers["x-lockstep-replica"] ?? "-",
      millis: Number((yield* Clock.currentTimeNanos) - began) / 1e6
    }
    return answer
  },
  Effect.timeout(answerDeadline),
  Effect.mapError((error) => new CommandFailed({ message: error.message }))
)

/** The same, of a request that must succeed. */
export const succeed = Effect.fnUntraced(function*(message: HttpClientRequest.HttpClientRequest) {
  const answer = yield* request(message)
  if (answer.status >= 400) return yield* new CommandFailed({ message: describeProblem(answer.status, answer.body) })
  return answer
})

export const get = (url: string) => succeed(HttpClientRequest.get(url))

export const post = (url: string, body: unknown) =>
  succeed(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyJsonUnsafe(body)))

export const put = (url: string, text: string) =>
  succeed(HttpClientRequest.put(url).pipe(HttpClientRequest.bodyText(text, "application/octet-stream")))
