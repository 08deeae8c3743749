import { Effect, Fiber, Random, type Scope } from "effect"
import { assert } from "@effect/vitest"
import { History } from "../../../src/cli/verify/History.ts"
import { eventually, type NeverCame } from "../../support/eventually.ts"
import type { Place } from "../../support/fleet.ts"
import type { Answer, NoAnswer } from "../../support/httpClient.ts"
import { versioned, versionOf } from "../main-job/sources.ts"
import { leaseMillis } from "./effort.ts"
import { type Member, publishVia, Stage } from "./Stage.ts"

/** A request that did not get what it asked for, or got it late. Times are of `performance.now()`. */
export interface Lost {
  readonly replicaId: string
  readonly began: number
  readonly ended: number
  /** A status, or what became of the connection. */
  readonly outcome: string
}

/** A realm and its publication, written through one member, read through all. */
interface Subject {
  readonly writer: Member
  readonly source: Place
  readonly published: Place
  readonly history: History
  /** What was acknowledged last of each. */
  readonly acknowledged: Record<Kind, { version: number; generation: number }>
}

type Kind = "source" | "published"
const kinds = ["source", "published"] as const

/** Clients that read every realm from every member, and one writer a member, until they are told to stop. */
export interface Load {
  readonly lostReads: ReadonlyArray<Lost>
  readonly lostWrites: ReadonlyArray<Lost>
  /** When each write that was acknowledged had returned. */
  readonly written: ReadonlyArray<number>
  readonly reads: () => number
  /** Answers with a `warning`, of which nothing is promised. */
  readonly warned: () => number
  /** Waits until each member answers and each writer is acknowledged again, with nothing lost for a while. */
  readonly settled: Effect.Effect<void, NeverCame>
  /** Stops the clients, and says what was wrong: every violation, in words. */
  readonly verdict: Effect.Effect<ReadonlyArray<string>>
}

/** An answer that takes longer counts as not available, though it is right. */
const slowMillis = 1_000

/** The fleet is well when nothing was lost for so long. */
const calmMillis = 1_000

const readersPerMember = 2

let loads = 0

/** Makes realms of its own and puts the stage under load until the scope closes. */
export const startLoad = Effect.fnUntraced(function*(): Effect.fn.Return<Load, NoAnswer, Stage | Scope.Scope> {
  const stage = yield* Stage
  const number = ++loads
  const subjects = yield* Effect.forEach(
    stage.members,
    (writer, index) => makeSubject(`load-${number}-${index}`, writer)
  )
  const lostReads: Array<Lost> = []
  const lostWrites: Array<Lost> = []
  const written: Array<number> = []
  const wrong: Array<string> = []
  const answered = new Map<Member, number>()
  const acknowledged = new Map<Member, number>()
  let warned = 0
  let stopped = false

  const read = Effect.fnUntraced(function*(reader: string, member: Member, subject: Subject, realm: Kind) {
    const asked = performance.now()
    const lose = (outcome: string, began = asked) =>
      void lostReads.push({ replicaId: member.replicaId, began, ended: performance.now(), outcome })
    const answer = yield* member.ask(subject[realm].path("probe"))
    const version = answer.status === 200 ? versionOf(answer.text) : undefined
    if (version === undefined) {
      if (!isRefusal(answer)) wrong.push(`${member.replicaId} answered what it must not: ${told(member, answer)}`)
      return lose(String(answer.status), answer.began)
    }
    if (answer.ended - answer.began > slowMillis) lose("slow", answer.began)
    answered.set(member, answer.ended)
    if (answer.headers["warning"] !== undefined) warned++
    subject.history.read(reader, {
      server: member.replicaId,
      realm,
      begun: answer.began,
      ended: answer.ended,
      version,
      generation: Number(answer.headers["x-lockstep-generation"]),
      warned: answer.headers["warning"] !== undefined
    })
  })

  const reader = (member: Member, name: string) =>
    Effect.gen(function*() {
      while (!stopped) {
        for (const subject of subjects) {
          for (const realm of kinds) {
            const asked = performance.now()
            yield* Effect.catch(read(name, member, subject, realm), (error) => {
              const outcome = outcomeOf(error)
              if (outcome === "hung") wrong.push(`${member.replicaId} never answered: ${error.message}`)
              lostReads.push({ replicaId: member.replicaId, began: asked, ended: performance.now(), outcome })
              return Effect.sleep("20 millis")
            })
            yield* Effect.sleep("3 millis")
          }
        }
      }
    })

  // A write whose outcome is not known may yet happen, so a writer goes on only when its request has ended, and always
  // through the same member.
  const write = Effect.fnUntraced(function*(subject: Subject, version: number) {
    const { source, writer } = subject
    const waits = version % 2 === 1
    const put = yield* writer.ask(source.path(`probe.ts${waits ? "?wait=all" : ""}`), {
      method: "PUT",
      body: versioned(version)
    })
    if (!accept(subject, "source", put, version, waits)) return
    if (version % 4 !== 3) return
    // A PUT that failed may have left newer bytes: the publication is at least as new as what was acknowledged.
    accept(subject, "published", yield* publishVia(writer, source, subject.published), version, true)
  })

  const accept = (subject: Subject, realm: Kind, answer: Answer, version: number, promised: boolean) => {
    const { began, ended, status } = answer
    if (status !== 200 && status !== 202) {
      if (!isRefusal(answer)) wrong.push(`a write was refused oddly: ${told(subject.writer, answer)}`)
      lostWrites.push({ replicaId: subject.writer.replicaId, began, ended, outcome: String(status) })
      return false
    }
    subject.history.changed({
      realm,
      version,
      server: subject.writer.replicaId,
      begun: began,
      returned: ended,
      promised
    })
    subject.acknowledged[realm] = { version, generation: Number(answer.json["generation"]) }
    acknowledged.set(subject.writer, ended)
    written.push(ended)
    return true
  }

  const writer = (subject: Subject) =>
    Effect.gen(function*() {
      for (let version = 2; !stopped; version++) {
        const began = performance.now()
        yield* Effect.catch(write(subject, version), (error) => {
          const outcome = outcomeOf(error)
          if (outcome === "hung") wrong.push(`${subject.writer.replicaId} never answered: ${error.message}`)
          lostWrites.push({ replicaId: subject.writer.replicaId, began, ended: performance.now(), outcome })
          return Effect.sleep("100 millis")
        })
        yield* Effect.sleep(yield* Random.nextIntBetween(10, 60))
      }
    })

  const clients = yield* Effect.forkScoped(Effect.all([
    ...stage.members.flatMap((member) =>
      Array.from({ length: readersPerMember }, (_, index) => reader(member, `reader ${index}`))
    ),
    ...subjects.map(writer)
  ], { concurrency: "unbounded", discard: true }))

  // A slow answer is no loss here: on a busy machine there may be one at any time.
  const calm = (since: number) =>
    Effect.sync(() => ({
      lost: [...lostReads, ...lostWrites].findLast(({ ended, outcome }) =>
        outcome !== "slow" && ended > performance.now() - calmMillis
      ),
      silent: stage.members.filter((member) =>
        (answered.get(member) ?? 0) < since || (acknowledged.get(member) ?? 0) < since
      ).map(({ replicaId }) => replicaId)
    }))

  const agreed = (subject: Subject, realm: Kind) =>
    eventually(
      `all replicas agree on ${subject[realm].url}`,
      Effect.forEach(stage.members, (member) =>
        Effect.map(Effect.result(member.ask(subject[realm].path("probe"))), (result) =>
          result._tag === "Failure" ? result.failure.message : [
            versionOf(result.success.text) ?? result.success.status,
            Number(result.success.headers["x-lockstep-generation"])
          ].join(" at generation "))),
      (seen) =>
        new Set(seen).size === 1 && /^\d+ at/.test(seen[0] ?? "")
    )

  return {
    lostReads,
    lostWrites,
    written,
    reads: () => subjects.reduce((sum, { history }) => sum + history.reads, 0),
    warned: () => warned,
    settled: Effect.suspend(() =>
      Effect.asVoid(eventually(
        "the fleet is well again",
        calm(performance.now()),
        ({ lost, silent }) => lost === undefined && silent.length === 0,
        45_000
      ))
    ),
    verdict: Effect.gen(function*() {
      stopped = true
      yield* Fiber.join(clients)
      for (const subject of subjects) {
        for (const realm of kinds) {
          const agreement = yield* Effect.result(agreed(subject, realm))
          // I6: when faults stop, all replicas agree.
          if (agreement._tag === "Failure") {
            wrong.push(`I6: ${agreement.failure.message}`)
            continue
          }
          // I4: what was acknowledged is still there.
          const [version = 0, generation = 0] = (agreement.success[0] ?? "").split(" at generation ").map(Number)
          const kept = subject.acknowledged[realm]
          if (version < kept.version || generation < kept.generation) {
            wrong.push(
              `I4: ${subject[realm].url} ended as version ${version} at generation ${generation}, though version ` +
                `${kept.version} at generation ${kept.generation} was acknowledged`
            )
          }
        }
      }
      const broken = subjects.flatMap(({ history }) => history.violations)
      return [...wrong, ...broken.map(({ detail, invariant }) => `${invariant}: ${detail}`)]
    })
  }
})

const makeSubject = Effect.fnUntraced(function*(name: string, writer: Member) {
  const stage = yield* Stage
  const source = yield* stage.realm(name, { "probe.ts": versioned(1) })
  const published = stage.place(`${name}-published`)
  const answer = yield* publishVia(writer, source, published)
  assert.strictEqual(answer.status, 202, answer.shown)
  const subject: Subject = {
    writer,
    source,
    published,
    history: new History(leaseMillis),
    acknowledged: {
      source: { version: 1, generation: 0 },
      published: { version: 1, generation: Number(answer.json["generation"]) }
    }
  }
  for (const realm of kinds) {
    const made = performance.now()
    const server = writer.replicaId
    subject.history.changed({ realm, version: 1, server, begun: made, returned: made, promised: true })
  }
  return subject
})

/** 503 with the time to come back, as problem+json: what a replica may say when it cannot. */
export const isRefusal = ({ headers, status }: Answer) =>
  status === 503 && headers["retry-after"] !== undefined &&
  (headers["content-type"] ?? "").startsWith("application/problem+json")

/** The exchange, and the last error that the replica logged. */
const told = (member: Member, answer: Answer) => {
  const logged = member.process().log().split("\n").findLast((line) => line.includes("level=ERROR"))
  return `${answer.shown}\n${logged ?? "its log has no error"}`
}

const outcomeOf = ({ detail }: NoAnswer) =>
  detail.includes("ECONNREFUSED") ? "refused" : detail.includes("no answer within") ? "hung" : "cut"
