import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { Effect, Schema } from "effect"
import { publicUrl, securedServer, tokenOf } from "../http/securedServer.ts"
import { requestOf, type Tokens } from "./Case.ts"
import { Dice } from "./Dice.ts"

/** What no answer may contain: it is outside of every realm, or in one that the requests have no permission for. */
const canaries = ["canary-outside-of-realms", "canary-in-a-private-realm"] as const

/** What an answer was that none may be. */
export class Broken extends Schema.TaggedError<Broken>("lockstep/test/fuzz/Broken")("Broken", {
  detail: Schema.String,
  request: Schema.String
}) {
  override get message() {
    return `${this.detail}\n--- request:\n${this.request}`
  }
}

export interface FuzzOptions {
  readonly cases: number
  /** Of the first case; each one after it has the next. */
  readonly seed: number
}

export interface FuzzReport {
  /** How many answers had each status; 0 for connections that ended without one. */
  readonly statuses: Readonly<Record<number, number>>
  /** What was wrong, with how to see it again; none if nothing was. */
  readonly failure: string | undefined
}

/** How long an answer may take, in milliseconds. */
const deadline = 20_000

/** How long to wait for what may not be answered: the server waits for the rest of it, and other tests see it end that. */
const patience = 150

const exchange = (port: number, bytes: Buffer, isWhole: boolean) =>
  Effect.callback<string, Broken>((resume) => {
    const chunks: Array<Buffer> = []
    const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.setTimeout(isWhole ? deadline : patience, () => {
      if (isWhole) resume(Effect.fail(new Broken({ detail: `no end within ${deadline} ms`, request: shown(bytes) })))
      socket.destroy()
    })
    socket.on("data", (chunk: Buffer) => chunks.push(chunk))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(Buffer.concat(chunks).toString("latin1"))))
    return Effect.sync(() => socket.destroy())
  })

const shown = (bytes: Buffer) => JSON.stringify(bytes.subarray(0, 2000).toString("latin1"))

const complaintOf = (answer: string, isAnswered: boolean): string | undefined => {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
  if (status === 0 && isAnswered) return "no answer"
  const wrong = answer.match(/^HTTP\/1\.1 5\d\d[^\r]*/gm)?.find((line) => !line.startsWith("HTTP/1.1 503"))
  if (wrong !== undefined) return wrong
  // The server is well, and says when to come back.
  if (status === 503 && !/^retry-after: \d+\r$/im.test(answer)) return "a 503 that is not meant"
  for (const canary of canaries) if (answer.includes(canary)) return `shows ${canary}`
  // What Node says by itself has no body that could be.
  const hasType = /^content-type:/im.test(answer)
  if (hasType && !/^x-content-type-options: nosniff/im.test(answer)) return "may be sniffed"
  if (status >= 400 && /^content-type: text\/html/im.test(answer)) return "answers a failure as a page"
  return undefined
}

/** Every file below a directory, with its content. */
const snapshot = (directory: string): string =>
  fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).toSorted().map((name) => {
    const file = path.join(directory, name)
    return fs.statSync(file).isFile() ? `${name} ${fs.readFileSync(file, "utf8")}` : name
  }).join("\n")

/**
 * Sends made-up requests to a replica in memory, over real connections: malformed ones, hostile ones, and some that are
 * almost right. None may be answered by a failure of the server, show or change what lies outside of the realms, or show
 * what is in a private one.
 */
export const fuzz = ({ cases: runs, seed }: FuzzOptions): Effect.Effect<FuzzReport> =>
  Effect.gen(function*() {
    const server = yield* securedServer({
      realmLimits: { bytes: 2 ** 20, files: 200 }
    })
    const { outside, realmsDir } = server.places
    const root = path.dirname(realmsDir)
    fs.writeFileSync(path.join(outside, "canary.ts"), `export const canary = "${canaries[0]}"\n`)
    const files = { "a.ts": "export const a = 1\n", "page.html": "<p>page</p>", "data/x.json": "{\"x\":1}" }
    yield* server.realm("open", files)
    yield* server.publish("open", "openlive")
    yield* server.realm("kept", { ...files, "a.ts": `export const a = "${canaries[1]}"\n` }, {
      isPrivate: true,
      owner: "alice"
    })
    yield* server.realm("own", files, { owner: "bob" })
    // A way out, if links were followed.
    fs.symlinkSync(outside, path.join(realmsDir, "open", "outside"))
    fs.symlinkSync(path.join(outside, "canary.ts"), path.join(realmsDir, "own", "canary.ts"))
    const before = { outside: snapshot(outside), kept: snapshot(path.join(realmsDir, "kept")) }

    const tokens: Tokens = { stranger: yield* tokenOf("bob") }
    const port = Number(new URL(server.url).port)
    const statuses: Record<number, number> = {}
    const check = Effect.fnUntraced(function*(index: number) {
      const { answered, bytes } = requestOf(new Dice(seed + index), tokens)
      const answer = yield* exchange(port, bytes, answered)
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
      statuses[status] = (statuses[status] ?? 0) + 1
      const complaint = complaintOf(answer, answered)
      if (complaint === undefined) return
      return yield* new Broken({
        detail: `seed ${seed + index}: ${complaint}\n${answer.slice(0, 500)}`,
        request: shown(bytes)
      })
    })
    const checked = yield* Effect.result(
      Effect.forEach(Array.from({ length: runs }, (_, index) => index), check, { concurrency: 64, discard: true })
    )
    if (checked._tag === "Failure") return { statuses, failure: checked.failure.message }
    const changed = [
      snapshot(outside) === before.outside ? "" : "what lies outside of the realms was changed",
      snapshot(path.join(realmsDir, "kept")) === before.kept ? "" : "a realm was written without permission",
      fs.readdirSync(root).toSorted().join() === "outside,realms,versions"
        ? ""
        : "something appeared beside the realms",
      (yield* Effect.orDie(server.ask("/kept/a", { as: "alice" }))).status === 200
        ? ""
        : `${publicUrl}kept/ is not served`
    ].filter((each) => each !== "")
    return { statuses, failure: changed.length === 0 ? undefined : `${changed.join("; ")} (seed ${seed})` }
  }).pipe(Effect.scoped, Effect.orDie)
