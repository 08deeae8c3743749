import { Staleness } from "./Staleness.ts"

export type Realm = "source" | "published"

/** A version that was asked for. Versions grow; what a removal leaves behind is a version, too. */
export interface Attempt {
  readonly realm: Realm
  readonly version: number
  /** Through which server. */
  readonly server: string
  readonly begun: number
  readonly removes?: boolean
}

/** An attempt that was confirmed; `promised`: every replica must show it from then on. */
export interface Change extends Attempt {
  readonly returned: number
  readonly promised: boolean
  /** The realm's, as the answer told it. */
  readonly generation?: number
}

/** A generation of a realm that was confirmed, and the version that it has. */
export interface Token {
  readonly generation: number
  readonly version: number
}

/** A read as a client saw it. Times are milliseconds on one monotonic clock. */
export interface Read {
  readonly server: string
  readonly realm: Realm
  readonly begun: number
  readonly ended: number
  readonly version: number | "absent"
  /** A 404 has none. */
  readonly generation?: number
  /** The least generation that was insisted on. */
  readonly token?: Token | undefined
  /** The answer said that it may be old (`--on-partition serve`): I1 and I2 promise nothing of it. */
  readonly warned?: boolean
}

export interface Violation {
  readonly invariant: "I1" | "I2" | "I3"
  readonly detail: string
}

/** What one server did. */
export interface Tally {
  /** Answers with a version. */
  readonly shown: Record<Realm, number>
  failed: number
  lastFailure: string
  attempts: number
  confirmed: number
}

/**
 * Checks reads against changes as they come. A read is recorded when it ends and counts from when it began: whatever was
 * confirmed before that must show in it. There is one writer, which asks for one change after the other.
 */
export class History {
  readonly violations: Array<Violation> = []
  readonly staleness: Staleness
  readonly tallies = new Map<string, Tally>()
  reads = 0
  /** Answers from before a change that had been confirmed, and warned of nothing. */
  stale = 0
  /** Reads that insisted on a generation, and of a version by its generation. */
  withToken = 0
  ofVersions = 0
  readonly #changes: Record<Realm, Array<Change>> = { source: [], published: [] }
  readonly #removals: Record<Realm, Array<Attempt>> = { source: [], published: [] }
  readonly #generations = new Map<string, number>()
  #publications: Array<Token> = []
  /** Versions whose writes have no known outcome: they may land over newer ones. */
  readonly #doubtful = new Set<number>()
  /** Until when a removal without a known outcome may land. */
  #absentUntil = -Infinity
  readonly #leaseMillis: number

  constructor(leaseMillis: number) {
    this.#leaseMillis = leaseMillis
    this.staleness = new Staleness(leaseMillis + clockMargin)
  }

  tally(server: string): Tally {
    const made = this.tallies.get(server) ??
      { shown: { source: 0, published: 0 }, failed: 0, lastFailure: "", attempts: 0, confirmed: 0 }
    this.tallies.set(server, made)
    return made
  }

  begin(attempt: Attempt): void {
    this.tally(attempt.server).attempts++
    this.staleness.begin(attempt)
    if (attempt.removes !== true) return
    this.#removals[attempt.realm] = [...this.#removals[attempt.realm], attempt].slice(-kept)
    if (attempt.realm === "published") this.#publications = []
  }

  changed(change: Change): void {
    this.tally(change.server).confirmed++
    this.staleness.changed(change)
    const changes = this.#changes[change.realm]
    changes.push(change)
    // What is older than the requests that may be under way is never the newest that one of them must show.
    if (changes.length > 2 * kept) changes.splice(0, kept)
    if (change.realm === "published" && change.removes !== true && change.generation !== undefined) {
      const publication = { generation: change.generation, version: change.version }
      this.#publications = [...this.#publications, publication].slice(-publications)
    }
  }

  /** It has not happened, and will not. */
  refused(attempt: Attempt): void {
    this.staleness.drop(attempt)
    this.#removals[attempt.realm] = this.#removals[attempt.realm].filter((removal) => removal !== attempt)
  }

  /** It may have happened, or happen yet. */
  doubted(attempt: Attempt, ended: number): void {
    this.staleness.drop(attempt)
    if (attempt.removes === true) this.#absentUntil = ended + doubtMillis
    else this.#doubtful.add(attempt.version)
  }

  failed(server: string, why: string): void {
    const tally = this.tally(server)
    tally.failed++
    tally.lastFailure = why
  }

  /** The newest generation that was confirmed, unless that was a removal. */
  token(realm: Realm): Token | undefined {
    const last = this.#changes[realm].at(-1)
    return last?.generation === undefined || last.removes === true ? undefined : {
      generation: last.generation,
      version: last.version
    }
  }

  /** The publications that must all be there, by their generations. */
  get publications(): ReadonlyArray<Token> {
    return this.#publications
  }

  /** `reader` reads one after another: what it is shown of a replica's generation must not go back. */
  read(reader: string, read: Read): void {
    this.reads++
    if (read.version !== "absent") this.tally(read.server).shown[read.realm]++
    if (read.generation !== undefined) {
      const key = `${reader} ${read.server} ${read.realm}`
      const shown = this.#generations.get(key) ?? 0
      if (read.generation < shown) {
        this.#violation("I3", read, `showed generation ${read.generation} after ${shown}`)
      }
      this.#generations.set(key, Math.max(shown, read.generation))
    }
    if (read.warned === true || this.#isDoubtful(read)) return
    const version = read.version === "absent" ? this.#lastRemoval(read.realm) : read.version
    this.staleness.read(read, version)
    if (read.token === undefined || this.#obeys(read, read.token, version)) this.#checkAge(read, version)
  }

  /** A confirmed generation was said not to exist (409). */
  tokenRefused({ begun, realm, server }: Read, { generation, version }: Token): void {
    this.reads++
    if (this.#lastRemoval(realm) > version || begun < this.#absentUntil) return
    this.#violation("I1", { realm, server }, `said that generation ${generation} does not exist, which was confirmed`)
  }

  /** What a server answered for `<published>@<generation>/`. */
  publication(server: string, { generation, version }: Token, begun: number, answer: number | "absent"): void {
    this.reads++
    this.ofVersions++
    const removed = this.#lastRemoval("published") > version || begun < this.#absentUntil
    if (answer === version || (answer === "absent" ? removed : this.#doubtful.has(answer))) return
    const said = answer === "absent" ? "answered 404" : `showed version ${answer}`
    this.#violation(
      "I1",
      { server, realm: "published" },
      `${said} for @${generation}, which was published as version ${version}`
    )
  }

  #isDoubtful({ begun, version }: Read): boolean {
    return version === "absent" ? begun < this.#absentUntil : this.#doubtful.has(version)
  }

  /** The newest version that an absence may be; 0 is what was before the first. */
  #lastRemoval(realm: Realm): number {
    return this.#removals[realm].at(-1)?.version ?? 0
  }

  #obeys(read: Read, token: Token, version: number): boolean {
    this.withToken++
    if (version >= token.version && (read.generation ?? token.generation) >= token.generation) return true
    this.#violation(
      "I1",
      read,
      `${said(read)} to who insisted on generation ${token.generation}, which is version ${token.version}`
    )
    return false
  }

  #checkAge(read: Read, version: number): void {
    const newer = this.#changes[read.realm].filter((change) => change.version > version && change.returned < read.begun)
    const first = newer[0]
    if (first === undefined) return
    this.stale++
    const behind = read.begun - first.returned
    const promised = newer.find((change) => change.promised)
    if (promised !== undefined) {
      const what = promised.removes === true ? `the removal that is version ${promised.version}` : promised.version
      this.#violation("I1", read, `${said(read)}; ${what} was promised before it was asked`)
    } else if (behind > this.#leaseMillis * 1.01 + clockMargin) {
      this.#violation("I2", read, `${said(read)}, ${Math.round(behind)} ms behind, more than its lease`)
    }
  }

  #violation(
    invariant: Violation["invariant"],
    { realm, server }: Pick<Read, "realm" | "server">,
    detail: string
  ): void {
    if (this.violations.length < 1000) {
      this.violations.push({ invariant, detail: `${server} (${realm} realm) ${detail}` })
    }
  }
}

const said = ({ version }: Read) => version === "absent" ? "answered 404" : `showed version ${version}`

/** Timers of this process may be late by so much, in milliseconds. */
const clockMargin = 50

/** A write that nobody heard the end of may wait in a server for so long, in milliseconds. */
const doubtMillis = 60_000

/** How many changes of a realm are kept: more than are made while a request is under way. */
const kept = 2000

/** How many publications are read by their generations: versions are kept far longer than so many take. */
const publications = 20

/** The value below which `share` of the numbers lie; 0 for none. */
export const percentile = (numbers: ReadonlyArray<number>, share: number): number =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? 0
