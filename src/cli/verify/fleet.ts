import { Effect, Result, Schedule } from "effect"
import { Status } from "../../api/Api.ts"
import { decodeAnswer, get } from "../client.ts"
import { CommandFailed } from "../CommandFailed.ts"

/** The replicas to probe, which all know each other. */
export interface ProbedFleet {
  readonly servers: ReadonlyArray<string>
  /** The longest, in milliseconds. */
  readonly lease: number
  /** For people: what was given twice, and which replicas are not probed. */
  readonly notes: ReadonlyArray<string>
}

interface Asked {
  readonly server: string
  readonly status: typeof Status.Type
}

/** A replica that has just started is in the others' lists within so long. */
const patience = Schedule.spaced("500 millis").pipe(Schedule.upTo({ times: 6 }))

/** Asks each server once who it is and whom it knows. Servers that are not one fleet can promise nothing together. */
export const askFleet = (given: ReadonlyArray<string>) => Effect.retry(askOnce([...new Set(given)], given), patience)

const askOnce = Effect.fnUntraced(function*(urls: ReadonlyArray<string>, given: ReadonlyArray<string>) {
  const answers = yield* Effect.forEach(urls, (server) => Effect.result(askServer(server)), { concurrency: 16 })
  const silent = answers.filter(Result.isFailure).map(({ failure }) => failure.message)
  if (silent.length > 0) return yield* new CommandFailed({ message: `nothing was verified: ${silent.join("\n  ")}` })
  const all = answers.filter(Result.isSuccess).map(({ success }) => success)
  const probed = all.filter((asked, index) => all.findIndex((other) => isSame(other, asked)) === index)
  const strangers = probed.flatMap((one) =>
    probed.filter((other) => !knows(one, other)).map((other) => `${named(one)} does not know ${named(other)}`)
  )
  if (strangers.length > 0) {
    return yield* new CommandFailed({
      message: `nothing was verified, these servers are not one fleet:\n  ${strangers.slice(0, 5).join("\n  ")}\n` +
        "Give the replicas of one database, each by its own address."
    })
  }
  const members = all.flatMap(({ status }) => status.replicas)
  const unprobed = [
    ...new Set(
      members.filter(({ replicaId }) => all.every(({ status }) => status.replicaId !== replicaId)).map((member) =>
        `${member.replicaId} (${member.advertiseUrl})`
      )
    )
  ]
  return {
    servers: probed.map(({ server }) => server),
    lease: Math.max(0, ...members.map(({ leaseMillis }) => leaseMillis)),
    notes: [
      ...probed.length < given.length ? [`given more than once, probed once: ${repeated(given, all, probed)}`] : [],
      ...unprobed.length > 0 ? [`of the same fleet, but not probed: ${unprobed.join(", ")}`] : []
    ]
  } satisfies ProbedFleet
})

const askServer = (server: string) =>
  get(server, "/_status").pipe(
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.fail(new CommandFailed({ message: "it did not answer /_status within 10 seconds" }))
    }),
    Effect.flatMap((body) => decodeAnswer(server, body, Status)),
    Effect.map((status): Asked => ({ server, status })),
    Effect.mapError(({ message }) => new CommandFailed({ message: `${server} was not verified: ${message}` }))
  )

/** A replica's own entry in its list; none while it has no membership. */
const own = ({ status }: Asked) => status.replicas.find(({ replicaId }) => replicaId === status.replicaId)

const isSame = (one: Asked, other: Asked) =>
  one.status.replicaId === other.status.replicaId && own(one)?.bootId === own(other)?.bootId

const knows = (one: Asked, other: Asked) => {
  const boot = own(other)?.bootId
  return one === other ||
    one.status.replicas.some(({ bootId, replicaId }) =>
      replicaId === other.status.replicaId && (boot === undefined || bootId === boot)
    )
}

const named = ({ server, status }: Asked) => `${server} (${status.replicaId})`

const repeated = (given: ReadonlyArray<string>, all: ReadonlyArray<Asked>, probed: ReadonlyArray<Asked>) =>
  [
    ...new Set([
      ...given.filter((server, index) => given.indexOf(server) !== index),
      ...all.filter((asked) => !probed.includes(asked)).map(named)
    ])
  ].join(", ")
