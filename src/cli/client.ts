import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Config, Console, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"
import { HttpClient, HttpClientRequest } from "effect/http"
import { CommandFailed } from "./CommandFailed.ts"
import { describeProblem, hintFor } from "./problem.ts"
import { parseServerUrl } from "./quantities.ts"
import { rootMessage } from "./systemError.ts"
import { givenToken } from "./token.ts"

/** Every command that has something to say can say it to programs. */
export const jsonFlag = (description: string) =>
  Flag.Boolean("json").pipe(Flag.withDescription(description), Flag.withoutNegation, Flag.withDefault(false))

/** What every command that talks to a server takes. */
export const clientFlags = {
  server: Flag.String("server").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription("any replica, or what stands in front of them (LOCKSTEP_SERVER, http://localhost:4201)"),
    Flag.withFallbackConfig(Config.String("LOCKSTEP_SERVER")),
    Flag.withDefault("http://localhost:4201"),
    Flag.filterMap(parseServerUrl, () => "an http or https URL, such as http://localhost:4201")
  ),
  json: jsonFlag("print the server's JSON answer")
}

/** Makes a realm private. */
export const privateFlag = (description: string) =>
  Flag.Boolean("private").pipe(
    Flag.withDescription(description),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )

/** What a publish or write has answered: nothing older will do. */
export const minGenerationFlag = Flag.Int("min-generation").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("a generation that a publish or write has answered: fail rather than show anything older"),
  Flag.filter((generation) => generation >= 0, () => "a whole number"),
  Flag.optional
)

/** The token of rule 7, where one was given. */
export const tokenHeader = (minGeneration: Option.Option<number>): Record<string, string> =>
  Option.isSome(minGeneration) ? { "x-lockstep-min-generation": String(minGeneration.value) } : {}

export interface ClientFlags {
  readonly server: string
  readonly json: boolean
}

// A publish copies a realm and waits for every replica; nothing that a server does for a command may take longer.
const answerDeadline = "2 minutes"

/** One request to the server, over connections that it shares with others; whatever status it answers with. */
export const sendShared = Effect.fnUntraced(function*(server: string, request: HttpClientRequest.HttpClientRequest) {
  const client = yield* HttpClient.HttpClient
  const token = yield* givenToken
  const authorized = Option.match(token, {
    onNone: () => request,
    onSome: (token) => HttpClientRequest.bearerToken(request, token)
  })
  return yield* client.execute(HttpClientRequest.prependUrl(authorized, server)).pipe(
    Effect.flatMap(({ headers, status, text }) => Effect.map(text, (body) => ({ status, body, headers }))),
    Effect.mapError((error) =>
      new CommandFailed({
        message: `cannot reach a Lockstep server at ${server} (${rootMessage(error)}): ` +
          `start one with "lockstep serve", or name another with --server or LOCKSTEP_SERVER`
      })
    ),
    Effect.timeoutOrElse({
      duration: answerDeadline,
      orElse: () =>
        Effect.fail(
          new CommandFailed({
            message: `${server} did not answer within ${answerDeadline}`,
            hint: "it may still be at it: \"lockstep status\" and \"lockstep realms\" tell; then try again"
          })
        )
    })
  )
})

export const layerClient = NodeHttpClient.layerNodeHttp

/** One request to the server; whatever status it answers with. */
export const send = (server: string, request: HttpClientRequest.HttpClientRequest) =>
  Effect.provide(sendShared(server, request), layerClient)

/** What a command fails with when the server refuses. */
export const refused = (status: number, body: string): CommandFailed => {
  const hint = hintFor(status, body)
  return new CommandFailed({ message: describeProblem(status, body), ...(hint === undefined ? {} : { hint }) })
}

/** The JSON body of a request that must succeed. A problem that the server tells of is the command's failure. */
const ask = Effect.fnUntraced(function*(server: string, request: HttpClientRequest.HttpClientRequest) {
  const { body, status } = yield* send(server, request)
  if (status >= 400) return yield* refused(status, body)
  return body
})

/** Any `GET` that must succeed. */
export const getFrom = ask

export const get = (server: string, path: string) => ask(server, HttpClientRequest.get(path))

export const post = (server: string, path: string, body: unknown) =>
  ask(server, HttpClientRequest.post(path).pipe(HttpClientRequest.bodyJsonUnsafe(body)))

/** Prints an answer: as it came with `--json`, or else as `describe` puts it for people. */
export const print = <A>(
  { json, server }: ClientFlags,
  body: string,
  schema: Schema.Codec<A, unknown>,
  describe: (answer: A) => string
) =>
  json ? Console.log(body) : decodeAnswer(server, body, schema).pipe(
    Effect.flatMap((answer) => Console.log(describe(answer)))
  )

export const decodeAnswer = <A>(server: string, body: string, schema: Schema.Codec<A, unknown>) =>
  Effect.mapError(
    Schema.decodeEffect(Schema.fromJsonString(schema))(body),
    () =>
      new CommandFailed({
        message: `what answers at ${server} is no Lockstep server of this version`,
        hint: "name a replica, or what stands in front of the replicas, with --server or LOCKSTEP_SERVER"
      })
  )
