import { table } from "../table.ts"
import { type History, percentile, type Tally } from "./History.ts"
import type { Lag } from "./Staleness.ts"

/** What a probe found, as `--json` prints it. */
export interface Verdict {
  readonly servers: ReadonlyArray<string>
  readonly reads: number
  readonly readsWithToken: number
  readonly readsOfVersions: number
  readonly changes: number
  readonly failures: number
  readonly violations: number
  /** Answers from before a change that had been confirmed, promised or not. */
  readonly stale: number
  readonly stalenessMillis: {
    readonly unwaited: Spread
    readonly waited: Spread
  }
  readonly byServer: Readonly<Record<string, Tally>>
  /** Why this is no proof, whatever the violations. */
  readonly notVerified: ReadonlyArray<string>
  readonly examples: History["violations"]
}

/** Of how long each other server answered from before a change: since it was first seen, and since its request. */
interface Spread {
  readonly measured: number
  readonly sinceSeen: Percentiles
  readonly sinceRequest: Percentiles
}

interface Percentiles {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** A server that answers less often than this, for either realm, has shown nothing. */
const fewestAnswers = 10

/** A server that was asked for so many changes must have confirmed one. */
const manyChanges = 5

/** `before`: how many changes were confirmed before the probe proper began. */
export const verdictOf = (servers: ReadonlyArray<string>, history: History, before: number): Verdict => {
  history.staleness.settle()
  const { lags } = history.staleness
  const tallies = servers.map((server) => history.tally(server))
  const changes = tallies.reduce((sum, { confirmed }) => sum + confirmed, -before)
  return {
    servers,
    reads: history.reads,
    readsWithToken: history.withToken,
    readsOfVersions: history.ofVersions,
    changes,
    failures: tallies.reduce((sum, { failed }) => sum + failed, 0),
    violations: history.violations.length,
    stale: history.stale,
    stalenessMillis: {
      unwaited: spread(lags.filter(({ promised }) => !promised)),
      waited: spread(lags.filter(({ promised }) => promised))
    },
    byServer: Object.fromEntries(history.tallies),
    notVerified: [
      ...servers.flatMap((server) => doubts(server, history.tally(server))),
      ...changes > 0 ? [] : ["no change was confirmed: there was nothing that an answer could miss"]
    ],
    examples: history.violations.slice(0, 5)
  }
}

const doubts = (server: string, { attempts, confirmed, failed, lastFailure, shown }: Tally) => {
  const last = failed === 0 ? "" : `; ${failed} requests failed, the last: ${lastFailure}`
  return [
    ...shown.source >= fewestAnswers && shown.published >= fewestAnswers ? [] : [
      `${server} was not verified: it showed the source realm ${times(shown.source)}, ` +
      `the published one ${times(shown.published)}${last}`
    ],
    ...attempts < manyChanges || confirmed > 0 ? [] : [
      `${server} was not verified: it confirmed none of ${attempts} changes${last}`
    ]
  ]
}

const times = (count: number) => count === 0 ? "never" : count === 1 ? "once" : `${count} times`

const spread = (lags: ReadonlyArray<Lag>): Spread => ({
  measured: lags.length,
  sinceSeen: percentiles(lags.map(({ sinceSeen }) => sinceSeen)),
  sinceRequest: percentiles(lags.map(({ sinceRequest }) => sinceRequest))
})

const percentiles = (numbers: ReadonlyArray<number>): Percentiles => ({
  p50: percentile(numbers, 0.5),
  p99: percentile(numbers, 0.99),
  max: percentile(numbers, 1)
})

/** For people. */
export const describeVerdict = (verdict: Verdict): string => {
  const { unwaited, waited } = verdict.stalenessMillis
  const row = (what: string, { max, p50, p99 }: Percentiles) => [what, ...[p50, p99, max].map((ms) => ms.toFixed(1))]
  return [
    table(["MEASURED", "COUNT"], [
      ["answers", String(verdict.reads)],
      ["... that had to be of a generation (token)", String(verdict.readsWithToken)],
      ["... of a version by its @generation", String(verdict.readsOfVersions)],
      ["changes confirmed", String(verdict.changes)],
      ["requests that failed", String(verdict.failures)],
      ["answers behind a confirmed change", String(verdict.stale)],
      ["violations", String(verdict.violations)]
    ]),
    "",
    table(
      ["SERVER", "VERSIONS SHOWN", "CHANGES CONFIRMED", "FAILED"],
      verdict.servers.map((server) => {
        const tally = verdict.byServer[server]
        const shown = (tally?.shown.source ?? 0) + (tally?.shown.published ?? 0)
        return [server, ...[shown, tally?.confirmed, tally?.failed].map((count) => String(count ?? 0))]
      })
    ),
    ...unwaited.measured + waited.measured === 0 ? [] : [
      "",
      table(["OLD ON OTHER SERVERS FOR (MS)", "P50", "P99", "MAX"], [
        row("a write without ?wait=all, since it was first seen", unwaited.sinceSeen),
        row("... since its request", unwaited.sinceRequest),
        row("what waits (publish, ?wait=all), since it was first seen", waited.sinceSeen),
        row("... since its request", waited.sinceRequest)
      ])
    ],
    ...verdict.examples.length > 0 ? ["", ...verdict.examples.map((each) => `${each.invariant}: ${each.detail}`)] : []
  ].join("\n")
}
