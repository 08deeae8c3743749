import { Clock, Effect, Option } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { type Fleet, type FleetRealm, ModuleHistory } from "../api/Fleet.ts"
import { concerns, EventLog } from "../coordination/EventLog.ts"
import { Generations } from "../coordination/Generations.ts"
import { InvalidInput } from "../domain/errors.ts"
import { aliasCandidates, aliasOf, decode, splitVersion } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmSizes } from "../realms/RealmSizes.ts"
import { JobTable } from "../store/JobTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"
import { EventStreams, toWire } from "./EventStreams.ts"
import { Members } from "./Members.ts"
import { problemOf, tooManyReaders } from "./problems.ts"
import { atATime, Reports, type Round } from "./Reports.ts"

/** What PostgreSQL does not say within this, people are not told. */
const queryDeadline = "1 second"

const inTime = <A, E, R>(query: Effect.Effect<A, E, R>) => Effect.option(Effect.timeout(query, queryDeadline))

/** The realms that match, with their sizes and who has applied what. */
const realmsOf = Effect.fnUntraced(function*({ answers }: Round, match: string, limit: number) {
  const realms = yield* RealmTable
  const sizes = yield* RealmSizes
  const versions = yield* RealmVersionTable
  const all = yield* realms.list
  const matching = match === "" ? all : all.filter(({ realmUrl }) => realmUrl.includes(match))
  const rows = matching.slice(0, limit)
  const kept = yield* versions.count(rows.map(({ realmUrl }) => realmUrl))
  const shown = yield* Effect.forEach(
    rows,
    (row: RealmRow) =>
      Effect.map(sizes.of(row), (size): typeof FleetRealm.Type => ({
        url: row.realmUrl,
        kind: row.kind,
        generation: row.generation,
        sourceURL: row.sourceUrl,
        lastPublishedAt: row.lastPublishedAt?.toISOString() ?? null,
        versions: kept.get(row.realmUrl) ?? 0,
        files: size?.files ?? null,
        bytes: size?.bytes ?? null,
        applied: Object.fromEntries(answers.flatMap(({ member, report }) => {
          const generation = report?.applied[row.realmUrl]
          return generation === undefined ? [] : [[member.bootId, generation]]
        }))
      }))
  )
  return { total: all.length, matching: matching.length, shown }
})

const fleetOf = Effect.fnUntraced(function*(round: Round, match: string, limit: number) {
  const { self } = yield* Members
  const jobs = yield* JobTable
  return {
    at: yield* Clock.currentTimeMillis,
    askedReplicaId: self.replicaId,
    members: round.answers.map(({ failure, member, report }) => {
      const { advertiseUrl, bootId, leaseMillis, replicaId } = member
      return {
        replicaId,
        bootId,
        advertiseUrl,
        leaseMillis,
        report,
        failure
      }
    }),
    realms: round.isWhole ? Option.getOrNull(yield* inTime(realmsOf(round, match, limit))) : null,
    jobs: round.isWhole ? Option.getOrNull(yield* inTime(jobs.unfinished)) : null
  } satisfies typeof Fleet.Type
})

/** What this replica remembers of a module, by its URL. The log alone answers, also of realms that are gone. */
const makeHistory = Effect.fnUntraced(function*(publicUrl: RealmUrl) {
  const generations = yield* Generations
  const log = yield* EventLog
  const { self } = yield* Members

  return Effect.fnUntraced(function*(text: string) {
    const url = URL.canParse(text, publicUrl) ? new URL(text, publicUrl) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol) || text.length > 8192) {
      return yield* new InvalidInput({
        detail: "url must be the URL of a module, such as http://localhost:4201/notes/a.ts"
      })
    }
    // A host that no realm has stands for the public one, as in requests.
    const isOwn = yield* Effect.orElseSucceed(
      Effect.timeout(generations.hasRealms(url.origin), queryDeadline),
      () => true
    )
    const href = (isOwn ? url.origin : new URL(publicUrl).origin) + url.pathname
    const events = log.since(0)
    const realmUrl = events.find((event) => event.realmUrl !== undefined && href.startsWith(event.realmUrl))?.realmUrl
    if (realmUrl === undefined) return { url: href, realmURL: null, path: null, events: [] }
    const decoded = decode(href.slice(realmUrl.length))
    if (decoded._tag === "Failure") return yield* decoded.failure
    const path = splitVersion(decoded.success)?.path ?? decoded.success
    const names = new Set([path, aliasOf(path) ?? "", ...aliasCandidates(path)])
    return {
      url: href,
      realmURL: realmUrl,
      path,
      events: events.filter((event) => concerns(event, realmUrl, names)).map((event) => toWire(event, self))
    }
  })
})

/** The endpoints about what happens in the fleet. */
export const fleetHandlers = (publicUrl: RealmUrl) =>
  HttpApiBuilder.group(
    Api,
    "fleet",
    Effect.fnUntraced(function*(group) {
      const reports = yield* Reports
      const history = yield* makeHistory(publicUrl)
      const members = yield* Members
      const streams = yield* EventStreams
      return group.handleAll({
        replica: () => reports.own,
        fleet: ({ query: { limit = 100, match = "" } }) =>
          Effect.flatMap(reports.all, (asked) => fleetOf(asked, match, limit)),
        events: ({ headers, query: { recent = 0, scope = "fleet" } }) =>
          Effect.map(
            streams.open({ scope, recent, lastEventId: headers["last-event-id"] }),
            (stream) =>
              stream === undefined ? tooManyReaders() : HttpServerResponse.stream(stream, {
                contentType: "text/event-stream; charset=utf-8",
                // A proxy that gathers what it passes on would make the stream late.
                headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
              })
          ),
        moduleHistory: ({ query: { scope = "fleet", url } }) =>
          Effect.gen(function*() {
            const { events, ...own } = yield* history(url)
            const { bootId, replicaId } = members.self
            const mine = { replicaId, bootId, failure: null, events }
            if (scope === "replica") return { ...own, members: [mine] }
            const others = (yield* members.all)?.slice(1) ?? []
            const path = `/_module-history?scope=replica&url=${encodeURIComponent(own.url)}`
            const theirs = yield* Effect.forEach(others, (member) =>
              Effect.match(members.ask(member, path, ModuleHistory), {
                onSuccess: (answer) => ({ answer, member: answer.members[0] }),
                onFailure: ({ message }) => ({
                  answer: undefined,
                  member: { replicaId: member.replicaId, bootId: member.bootId, failure: message, events: [] }
                })
              }), { concurrency: atATime })
            const found = theirs.find(({ answer }) => answer?.realmURL !== undefined && answer.realmURL !== null)
              ?.answer
            return {
              url: own.url,
              realmURL: own.realmURL ?? found?.realmURL ?? null,
              path: own.path ?? found?.path ?? null,
              members: [
                mine,
                ...theirs.flatMap(({ member }) =>
                  member ?? []
                )
              ]
            }
          }).pipe(Effect.catch((failure) =>
            Effect.succeed(problemOf(failure))
          ))
      })
    })
  )
