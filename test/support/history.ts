import type { Answer } from "./httpClient.ts"

/** One answer as a client saw it. Times are milliseconds of one monotonic clock. */
export interface Reading {
  readonly replica: string
  readonly began: number
  readonly ended: number
  readonly status: number
  /** `x-lockstep-generation`; -1 without it. */
  readonly generation: number
  /** Which version the bytes are of; undefined for an answer without any of them. */
  readonly version: number | undefined
}

/** A change that was acknowledged: from `returned` on, no answer may be of an older version. */
export interface Acknowledged {
  readonly version: number
  readonly returned: number
}

export const readingOf = (
  replica: string,
  answer: Answer,
  versionOf: (text: string) => number | undefined
): Reading => ({
  replica,
  began: answer.began,
  ended: answer.ended,
  status: answer.status,
  generation: Number(answer.headers["x-lockstep-generation"] ?? -1),
  version: answer.status === 200 ? versionOf(answer.text) : undefined
})

/**
 * What many clients saw of one file while its versions, numbered upwards, were published. An answer without a version
 * of the file (an error, a mixture) is a violation too: the clients ask only for what exists throughout.
 */
export class History {
  readonly readings: Array<Reading> = []
  readonly acknowledged: Array<Acknowledged> = []

  read(reading: Reading): void {
    this.readings.push(reading)
  }

  acknowledge(version: number, returned: number): void {
    this.acknowledged.push({ version, returned })
  }

  /** Every way in which the answers contradict the invariants, in words. */
  violations(): ReadonlyArray<string> {
    return [...this.#failures(), ...this.#stale(), ...this.#torn(), ...this.#backwards()]
  }

  #failures() {
    return this.readings.flatMap(({ began, replica, status, version }) =>
      version === undefined ? [`${replica} answered ${status} without a version at ${began.toFixed(1)}`] : []
    )
  }

  // I1: a request begun after a publish returned is never answered from before it.
  #stale() {
    return this.readings.flatMap(({ began, replica, version = Infinity }) => {
      const known = Math.max(...this.acknowledged.filter((change) => change.returned <= began).map((c) => c.version))
      return version < known
        ? [`${replica} answered version ${version} at ${began.toFixed(1)}, though ${known} had been acknowledged`]
        : []
    })
  }

  // Generation, pointer and bytes come from one read: a generation has the bytes of one version, wherever it is seen.
  #torn() {
    const versions = new Map<number, Set<number>>()
    for (const { generation, version } of this.readings) {
      if (version === undefined) continue
      versions.set(generation, (versions.get(generation) ?? new Set()).add(version))
    }
    return Array.from(versions).flatMap(([generation, seen]) =>
      seen.size > 1 ? [`generation ${generation} had the bytes of versions ${Array.from(seen).join(" and ")}`] : []
    )
  }

  // I3: what a replica shows of a realm's generation never goes back.
  #backwards() {
    const violations: Array<string> = []
    for (const replica of new Set(this.readings.map((reading) => reading.replica))) {
      const own = this.readings.filter((reading) => reading.replica === replica && reading.generation >= 0)
      const byEnd = own.toSorted((a, b) => a.ended - b.ended)
      let newest = -1
      let next = 0
      for (const reading of own.toSorted((a, b) => a.began - b.began)) {
        while (next < byEnd.length && (byEnd[next]?.ended ?? 0) < reading.began) {
          newest = Math.max(newest, byEnd[next++]?.generation ?? -1)
        }
        if (reading.generation < newest) {
          violations.push(`${replica} went back from generation ${newest} to ${reading.generation}`)
        }
      }
    }
    return violations
  }
}
