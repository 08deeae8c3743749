import type { RealmRow } from "../../src/store/RealmTable.ts"

interface Counts {
  begun: number
  /** Stopped because nobody waited any more, or failed. */
  ended: number
  /** Rows that L2 took, and rows that it did not. */
  accepted: number
  refused: number
  failed: number
}

/**
 * I5, of the fenced cache. Results count as one version as long as nothing voids the path: a version has one accepted
 * row, and one execution more than were stopped, failed, or had their row refused.
 */
export class Executions {
  readonly #violated: (detail: string) => void
  readonly #voids = new Map<string, Array<number>>()
  readonly #counts = new Map<string, Counts>()
  total = 0

  constructor(violated: (detail: string) => void) {
    this.#violated = violated
  }

  /** A generation that voids all, or these paths. */
  voided(row: RealmRow, buried: ReadonlyArray<string>): void {
    const paths = row.definitionFloor === row.generation ? ["*"] : buried
    for (const path of paths) {
      const key = `${row.realmUrl} ${path}`
      this.#voids.set(key, [...this.#voids.get(key) ?? [], row.generation])
    }
  }

  began(realmUrl: string, path: string, generation: number): (succeeded: boolean) => void {
    this.total++
    const counts = this.#of(realmUrl, path, generation)
    counts.begun++
    return (succeeded) => {
      if (!succeeded) counts.ended++
    }
  }

  written(realmUrl: string, path: string, generation: number, outcome: "accepted" | "refused" | "failed"): void {
    this.#of(realmUrl, path, generation)[outcome]++
  }

  /** To be asked of runs in which L2 and the coordination worked throughout. */
  check(): void {
    for (const [version, { accepted, begun, ended, failed, refused }] of this.#counts) {
      if (accepted > 1) this.#violated(`${accepted} results were accepted for ${version}`)
      const allowed = 1 + ended + failed + refused
      if (begun > allowed) this.#violated(`${begun} executions of ${version}, where ${allowed} are explained`)
    }
  }

  #of(realmUrl: string, path: string, generation: number): Counts {
    const version = Math.max(
      0,
      ...[path, "*"].flatMap((each) => this.#voids.get(`${realmUrl} ${each}`) ?? []).filter((at) => at <= generation)
    )
    const key = `${realmUrl}${path} since ${version}`
    const counts = this.#counts.get(key) ?? { begun: 0, ended: 0, accepted: 0, refused: 0, failed: 0 }
    this.#counts.set(key, counts)
    return counts
  }
}
