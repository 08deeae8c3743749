import { Console, Effect, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { HttpClientRequest } from "effect/http"
import { backgroundPriority } from "../domain/Background.ts"
import { encode, isExecutable } from "../domain/ModulePath.ts"
import {
  clientFlags,
  minGenerationFlag,
  tokenHeader,
  decodeAnswer,
  layerClient,
  refused,
  sendShared
} from "./client.ts"
import { urlArgument } from "./urlArgument.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { describeProblem } from "./problem.ts"
import { makeBar } from "./progressBar.ts"

const Listing = Schema.Struct({
  entries: Schema.Array(Schema.Struct({ name: Schema.String, kind: Schema.Literals(["file", "directory"]) }))
})

/** `lockstep warm URL` */
export const warm = Command.make(
  "warm",
  {
    url: urlArgument("URL", "of a realm, or of a directory of one; ends in a slash").pipe(
      Argument.filter(
        (url) => url.endsWith("/"),
        (url) => `${url} is not the URL of a realm or directory: it ends in a slash`
      )
    ),
    concurrency: Flag.Int("concurrency").pipe(
      Flag.withDescription("modules that are asked for at a time (8)"),
      Flag.withDefault(8),
      Flag.filter((count) => count >= 1 && count <= 256, () => "a number from 1 to 256")
    ),
    minGeneration: minGenerationFlag,
    ...clientFlags
  },
  Effect.fnUntraced(function*({ concurrency, json, minGeneration, server, url }) {
    const result = yield* warmAll(server, new URL(url), concurrency, tokenHeader(minGeneration))
    yield* Console.log(json ? JSON.stringify({ url, ...result }) : describe(url, result))
  }, Effect.provide(layerClient))
).pipe(
  Command.withDescription("Make every module of a realm, so that its next readers need not wait"),
  Command.withExamples([
    { command: "lockstep warm http://localhost:4201/published/notes/" }
  ])
)

type Token = ReturnType<typeof tokenHeader>

interface Result {
  readonly modules: number
  /** By `x-lockstep-cache`: where they came from. */
  readonly from: Readonly<Record<string, number>>
  /** Paths of modules that do not compile, and why not. */
  readonly failed: Readonly<Record<string, string>>
}

/** Asks for every module, in the background of other readers. */
const warmAll = Effect.fnUntraced(function*(server: string, url: URL, concurrency: number, token: Token) {
  const modules = (yield* list(server, url, token)).map((path) => new URL(path, url))
  const bar = makeBar(process.stderr, "modules warm")
  const from: Record<string, number> = {}
  const failed: Record<string, string> = {}
  let done = 0
  const one = Effect.fnUntraced(function*(module: URL) {
    const answer = yield* sendShared(server, question(module, "*/*", token))
    if (answer.status === 200) {
      const origin = answer.headers["x-lockstep-cache"] ?? "unknown"
      from[origin] = (from[origin] ?? 0) + 1
    } else failed[decodeURIComponent(module.pathname)] = describeProblem(answer.status, answer.body)
    bar.show(++done, modules.length)
  })
  yield* Effect.forEach(modules, one, { concurrency, discard: true }).pipe(Effect.ensuring(Effect.sync(bar.clear)))
  return { modules: modules.length, from, failed } satisfies Result
})

/** Paths of the modules in a directory and below it, percent-encoded. */
const list = (
  server: string,
  directory: URL,
  token: Token
): Effect.Effect<ReadonlyArray<string>, CommandFailed, Effect.Services<ReturnType<typeof sendShared>>> =>
  Effect.gen(function*() {
    const { body, status } = yield* sendShared(server, question(directory, "application/json", token))
    if (status !== 200) return yield* refused(status, body)
    const { entries } = yield* decodeAnswer(server, body, Listing)
    const files = entries.filter(({ kind, name }) => kind === "file" && isModule(name))
    const below = yield* Effect.forEach(
      entries.filter(({ kind }) => kind === "directory"),
      ({ name }) =>
        Effect.map(
          list(server, new URL(`${encode(name)}/`, directory), token),
          (paths) => paths.map((path) => `${encode(name)}/${path}`)
        )
    )
    return [...files.map(({ name }) => encode(name)), ...below.flat()]
  })

const isModule = (name: string) => isExecutable(name) && !/\.d\.m?ts$/.test(name)

/** The server is asked for the realm by its `Host`, whatever its own address is. */
const question = (url: URL, accept: string, token: Token) =>
  HttpClientRequest.get(url.pathname).pipe(
    HttpClientRequest.setHeaders({ host: url.host, accept, priority: backgroundPriority, ...token })
  )

const describe = (url: string, { failed, from, modules }: Result): string => {
  const origins = Object.entries(from).map(([origin, count]) => `${count} ${said[origin] ?? origin}`)
  const mistakes = Object.entries(failed)
  return [
    `${modules - mistakes.length} of ${modules} modules of ${url} are warm${
      origins.length > 0 ? `: ${origins.join(", ")}` : ""
    }`,
    ...mistakes.slice(0, 20).map(([path, problem]) => `${path}: ${problem}`),
    ...(mistakes.length > 20 ? [`and ${mistakes.length - 20} more that cannot be had`] : [])
  ].join("\n")
}

const said: Readonly<Record<string, string>> = {
  transpiled: "transpiled now",
  joined: "made by others meanwhile",
  l2: "from the shared cache",
  l1: "in memory already"
}
