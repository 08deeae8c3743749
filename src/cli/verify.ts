import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Console, Duration, Effect, Random } from "effect"
import { Command, Flag } from "effect/cli"
import { HttpClientRequest } from "effect/http"
import { Created } from "../api/Api.ts"
import { decodeAnswer, post, send } from "./client.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { parseDuration, parseServerUrl } from "./quantities.ts"
import { describeProblem } from "./problem.ts"
import { askFleet } from "./verify/fleet.ts"
import { History } from "./verify/History.ts"
import { change, now, type Probe, reader, writer } from "./verify/probe.ts"
import { describeVerdict, verdictOf } from "./verify/verdict.ts"

const readersPerServer = 2
const removalDeadline = "15 seconds"

/** `lockstep verify --server A --server B [--duration 60s]` */
export const verify = Command.make(
  "verify",
  {
    servers: Flag.String("server").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription("a replica, by its own address; give every replica"),
      Flag.filterMap(parseServerUrl, () => "an http or https URL, such as http://localhost:4201"),
      Flag.atLeast(1)
    ),
    duration: Flag.String("duration").pipe(
      Flag.withMetavar("DURATION"),
      Flag.withDescription("how long to probe (60s)"),
      Flag.withDefault("60s"),
      Flag.filterMap(parseDuration, () => "a duration, such as 60s or 5m")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("print the verdict as JSON"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ duration, json, servers: given }) {
    const { lease, notes, servers } = yield* askFleet(given)
    yield* Effect.forEach(notes, (note) => Console.error(`note: ${note}`), { discard: true })
    if (!json) {
      const replicas = servers.length === 1 ? "1 replica" : `${servers.length} replicas`
      yield* Console.log(`probing ${replicas} for ${Duration.format(duration)}; lease ${lease} ms`)
    }
    const probe = yield* Effect.acquireUseRelease(
      makeProbe(servers, new History(lease)),
      (probe) => Effect.as(run(probe, duration), probe),
      removeProbe
    ).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
    yield* report(probe, json)
  })
).pipe(
  Command.withDescription("Check a live fleet for stale answers, from outside, with realms of its own"),
  Command.withExamples([
    {
      command: "lockstep verify --server http://10.0.0.5:4201 --server http://10.0.0.6:4201 --duration 5m",
      description: "name every replica by its own address"
    }
  ])
)

const makeProbe = Effect.fnUntraced(function*(servers: ReadonlyArray<string>, history: History) {
  const [first = ""] = servers
  const name = `lockstep-verify-${(yield* Random.nextIntBetween(0, 2 ** 32)).toString(36)}`
  const { realmURL } = yield* decodeAnswer(first, yield* post(first, "/_create-realm", { name }), Created)
  return { servers, source: realmURL, published: realmURL.replace(/\/$/, "-published/"), history } satisfies Probe
})

/** The probe's own realms go, whatever happened: each server is asked until one has done it. What is left is said. */
const removeProbe = Effect.fnUntraced(function*({ published, servers, source }: Probe) {
  for (const realm of [published, source]) {
    const failures = yield* Effect.forEach(servers, (server) => Effect.flip(removeRealm(server, realm))).pipe(
      Effect.orElseSucceed(() => [])
    )
    if (failures.length === 0) continue
    yield* Console.error(
      `note: the realm ${realm} is left behind (${failures.map(({ message }) => message).join("; ")}): ` +
        `remove it with "lockstep delete ${realm} --server URL"`
    )
  }
})

const removeRealm = Effect.fnUntraced(
  function*(server: string, realmURL: string) {
    const request = HttpClientRequest.post("/_delete-realm").pipe(HttpClientRequest.bodyJsonUnsafe({ realmURL }))
    const { body, status } = yield* send(server, request)
    // It may be unpublished at this moment.
    if (status < 300 || (status === 404 && body.includes("urn:lockstep:realm-not-found"))) return
    return yield* new CommandFailed({ message: `${server}: ${describeProblem(status, body)}` })
  },
  (effect, server) =>
    Effect.timeoutOrElse(effect, {
      duration: removalDeadline,
      orElse: () => Effect.fail(new CommandFailed({ message: `${server} did not answer within ${removalDeadline}` }))
    })
)

const run = Effect.fnUntraced(function*(probe: Probe, duration: Duration.Duration) {
  const until = (yield* now) + Duration.toMillis(duration)
  yield* begin(probe)
  const readers = probe.servers.flatMap((server) =>
    Array.from({ length: readersPerServer }, (_, index) => [
      reader(probe, `source ${index}`, server, "source"),
      reader(probe, `published ${index}`, server, "published")
    ]).flat()
  )
  yield* Effect.raceFirst(
    writer(probe, until, firstVersion),
    Effect.all(readers, { concurrency: "unbounded", discard: true })
  )
})

/** Both realms show a version everywhere before they are read. */
const begin = (probe: Probe) =>
  Effect.andThen(change(probe, firstVersion, "put and wait"), change(probe, firstVersion, "publish")).pipe(
    Effect.mapError(({ message }) => new CommandFailed({ message: `the probe could not begin: ${message}` }))
  )

const firstVersion = 1
const changesToBegin = 2

const report = Effect.fnUntraced(function*({ history, servers }: Probe, json: boolean) {
  const verdict = verdictOf(servers, history, changesToBegin)
  const { notVerified, violations } = verdict
  yield* Console.log(json ? JSON.stringify(verdict) : `\n${describeVerdict(verdict)}\n`)
  const doubts = notVerified.map((doubt) => `\n  ${doubt}`).join("")
  if (violations > 0) return yield* new CommandFailed({ message: `the fleet broke its promise${doubts}` })
  if (doubts !== "") return yield* new CommandFailed({ message: `this is no proof:${doubts}` })
  if (!json) yield* Console.log("the fleet kept its promise")
})
