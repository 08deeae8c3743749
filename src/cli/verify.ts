import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Console, Duration, Effect, Random, Ref } from "effect"
import { Command, Flag } from "effect/cli"
import { Created, Status } from "../api/Api.ts"
import { decodeAnswer, get, post } from "./client.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { parseDuration, parseServerUrl } from "./quantities.ts"
import { table } from "./table.ts"
import { History, percentile } from "./verify/History.ts"
import { change, type Probe, reader, writer } from "./verify/probe.ts"

const readersPerServer = 2

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
  Effect.fnUntraced(function*({ duration, json, servers }) {
    const [first = ""] = servers
    const status = yield* decodeAnswer(first, yield* get(first, "/_status"), Status)
    const lease = Math.max(0, ...status.replicas.map((replica) => replica.leaseMillis))
    const probe = yield* makeProbe(servers, new History(lease))
    if (!json) {
      yield* Console.log(`probing ${servers.length} replicas for ${Duration.format(duration)}; lease ${lease} ms`)
    }
    yield* run(probe, duration).pipe(
      Effect.ensuring(removeProbe(probe)),
      Effect.provide(NodeHttpClient.layerNodeHttp)
    )
    yield* report(probe, json)
  })
).pipe(Command.withDescription("Check a live fleet for stale answers, from outside, with realms of its own"))

const makeProbe = Effect.fnUntraced(function*(servers: ReadonlyArray<string>, history: History) {
  const [first = ""] = servers
  const name = `lockstep-verify-${(yield* Random.nextIntBetween(0, 2 ** 32)).toString(36)}`
  const { realmURL } = yield* decodeAnswer(first, yield* post(first, "/_create-realm", { name }), Created)
  return { servers, source: realmURL, published: realmURL.replace(/\/$/, "-published/"), history } satisfies Probe
})

/** The probe's own realms go, whatever happened; the fleet keeps nothing of it. */
const removeProbe = ({ published, servers: [first = ""], source }: Probe) =>
  Effect.andThen(
    Effect.ignore(post(first, "/_delete-realm", { realmURL: published })),
    Effect.ignore(post(first, "/_delete-realm", { realmURL: source }))
  )

const run = Effect.fnUntraced(
  function*(probe: Probe, duration: Duration.Duration) {
    const versions = yield* Ref.make(1)
    yield* change(probe, 1, "wait")
    yield* change(probe, 1, "publish")
    const readers = probe.servers.flatMap((server) =>
      Array.from({ length: readersPerServer }, (_, index) => [
        reader(probe, `source ${index}`, server, "source"),
        reader(probe, `published ${index}`, server, "published")
      ]).flat()
    )
    yield* Effect.all([writer(probe, versions), ...readers], { concurrency: "unbounded", discard: true }).pipe(
      Effect.timeoutOption(duration)
    )
  },
  Effect.catchTag(
    ["HttpClientError", "TimeoutError"],
    (error) => Effect.fail(new CommandFailed({ message: `the probe could not begin: ${error.message}` }))
  )
)

const report = Effect.fnUntraced(function*({ history, servers }: Probe, json: boolean) {
  const { failures, reads, staleness, violations } = history
  const verdict = {
    servers,
    reads,
    failures,
    violations: violations.length,
    stale: staleness.length,
    stalenessMillis: {
      p50: percentile(staleness, 0.5),
      p99: percentile(staleness, 0.99),
      max: percentile(staleness, 1)
    },
    examples: violations.slice(0, 5)
  }
  yield* Console.log(
    json ? JSON.stringify(verdict) : [
      table(["MEASURED", "VALUE"], [
        ["answers", String(reads)],
        ["requests that failed", String(failures)],
        ["answers behind an unpromised write", String(staleness.length)],
        [
          "staleness p50 / p99 / max",
          `${Object.values(verdict.stalenessMillis).map((ms) => ms.toFixed(1)).join(" / ")} ms`
        ],
        ["violations", String(violations.length)]
      ]),
      ...violations.slice(0, 5).map(({ detail, invariant }) => `${invariant}: ${detail}`)
    ].join("\n")
  )
  if (violations.length > 0) return yield* new CommandFailed({ message: "the fleet broke its promise" })
  if (reads === 0) return yield* new CommandFailed({ message: "no answer was had: nothing was verified" })
  if (!json) yield* Console.log("the fleet kept its promise")
})
