/** A read as a client saw it. Times are milliseconds on one monotonic clock. */
export interface Read {
  readonly server: string
  readonly realm: "source" | "published"
  readonly begun: number
  readonly version: number
  readonly generation: number
  /** The answer said that it may be old (`--on-partition serve`): I1 and I2 promise nothing of it. */
  readonly warned?: boolean
}

/** A version that was written or published; `promised`: every replica must show it from then on. */
export interface Change {
  readonly realm: "source" | "published"
  readonly version: number
  readonly returned: number
  readonly promised: boolean
}

export interface Violation {
  readonly invariant: "I1" | "I2" | "I3"
  readonly detail: string
}

/**
 * Checks reads against changes as they come. Changes are recorded when they have returned and reads when they end; a
 * read counts from when it began, so whatever returned before that must show in it.
 */
export class History {
  readonly violations: Array<Violation> = []
  /** How long each stale answer was behind, in milliseconds. */
  readonly staleness: Array<number> = []
  reads = 0
  failures = 0
  readonly #changes: Record<Change["realm"], Array<Change>> = { source: [], published: [] }
  readonly #generations = new Map<string, number>()
  readonly #leaseMillis: number

  constructor(leaseMillis: number) {
    this.#leaseMillis = leaseMillis
  }

  changed(change: Change): void {
    this.#changes[change.realm].push(change)
  }

  /** `reader` reads one after another: what it is shown of a replica's generation must not go back. */
  read(reader: string, read: Read): void {
    this.reads++
    const key = `${reader} ${read.server} ${read.realm}`
    const shown = this.#generations.get(key) ?? 0
    if (read.generation < shown) {
      this.#violation("I3", read, `showed generation ${read.generation} after ${shown}`)
    }
    this.#generations.set(key, Math.max(shown, read.generation))
    if (read.warned !== true) this.#checkAge(read)
  }

  #checkAge(read: Read): void {
    const newer = this.#changes[read.realm].filter((change) =>
      change.version > read.version && change.returned < read.begun
    )
    const first = newer[0]
    if (first === undefined) return
    const behind = read.begun - first.returned
    this.staleness.push(behind)
    const promised = newer.find((change) => change.promised)
    if (promised !== undefined) {
      this.#violation(
        "I1",
        read,
        `showed version ${read.version}; ${promised.version} was promised before it was asked`
      )
    } else if (behind > this.#leaseMillis * 1.01 + clockMargin) {
      this.#violation("I2", read, `was ${Math.round(behind)} ms behind, more than its lease`)
    }
  }

  #violation(invariant: Violation["invariant"], { realm, server }: Read, detail: string): void {
    if (this.violations.length < 1000) {
      this.violations.push({ invariant, detail: `${server} (${realm} realm) ${detail}` })
    }
  }
}

/** Timers of this process may be late by so much, in milliseconds. */
const clockMargin = 50

/** The value below which `share` of the numbers lie; 0 for none. */
export const percentile = (numbers: ReadonlyArray<number>, share: number): number =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? 0
