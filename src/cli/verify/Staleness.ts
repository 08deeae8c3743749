import type { Attempt, Change, Read } from "./History.ts"

/** How long one server still answered from before a change that went through another, in milliseconds. */
export interface Lag {
  readonly server: string
  /** Whether the change was to return only when every replica shows it. */
  readonly promised: boolean
  /** Since it was first seen: in an answer of any server, or as its own answer. No more than what there was. */
  readonly sinceSeen: number
  /** Since it was asked for, which is before its commit. No less than what there was. */
  readonly sinceRequest: number
}

interface Watched {
  readonly attempt: Attempt
  change: Change | undefined
  seen: number
  /** By server, when the last question began that it answered from before the change. */
  readonly old: Map<string, number>
  /** The servers that have shown the change. */
  readonly shown: Set<string>
}

/** The newest are kept: a run of days must not grow with its length. */
const maxLags = 100_000

/**
 * Watches each change from its request until every server must have shown it, and takes the time that each one took.
 * A commit cannot be seen from outside: it lies between the request and the first sight of it.
 */
export class Staleness {
  readonly lags: Array<Lag> = []
  #watched: Array<Watched> = []
  readonly #watchMillis: number

  constructor(watchMillis: number) {
    this.#watchMillis = watchMillis
  }

  begin(attempt: Attempt): void {
    this.#settleBefore(attempt.begun - this.#watchMillis)
    this.#watched.push({ attempt, change: undefined, seen: Infinity, old: new Map(), shown: new Set() })
  }

  changed(change: Change): void {
    const watched = this.#watched.find(({ attempt }) => isOf(attempt, change))
    if (watched === undefined) return
    watched.change = change
    watched.seen = Math.min(watched.seen, change.returned)
  }

  /** It was refused, or nobody knows what became of it: there is nothing to measure. */
  drop(dropped: Attempt): void {
    this.#watched = this.#watched.filter(({ attempt }) => !isOf(attempt, dropped))
  }

  read({ begun, ended, realm, server }: Read, version: number): void {
    for (const watched of this.#watched) {
      if (watched.attempt.realm !== realm || begun < watched.attempt.begun) continue
      if (version < watched.attempt.version) {
        watched.old.set(server, Math.max(begun, watched.old.get(server) ?? 0))
      } else {
        watched.seen = Math.min(watched.seen, ended)
        watched.shown.add(server)
      }
    }
  }

  /** Takes what is watched still as it stands. */
  settle(): void {
    this.#settleBefore(Infinity)
  }

  #settleBefore(time: number): void {
    const isDue = ({ change }: Watched) => change !== undefined && change.returned < time
    for (const { attempt, change, old, seen, shown } of this.#watched.filter(isDue)) {
      for (const server of shown) {
        if (change === undefined || server === attempt.server) continue
        const last = old.get(server)
        if (this.lags.length >= maxLags) this.lags.splice(0, maxLags / 10)
        this.lags.push({
          server,
          promised: change.promised,
          sinceSeen: last === undefined ? 0 : Math.max(0, last - seen),
          sinceRequest: last === undefined ? 0 : last - attempt.begun
        })
      }
    }
    this.#watched = this.#watched.filter((watched) => !isDue(watched))
  }
}

const isOf = (attempt: Attempt, other: Attempt) => attempt.realm === other.realm && attempt.version === other.version
