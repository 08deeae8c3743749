import type { RealmUrl } from "../domain/RealmUrl.ts"

/** What a question about an origin answered; undefined while it is under way. */
export interface OriginAnswer {
  has: boolean | undefined
  /** What was known before the question: all there is, when nobody answers it. */
  readonly before: boolean | undefined
}

/**
 * Which origins (`http://host:port`) have realms of their own, as far as this replica knows. An answer is made before its
 * question is sent: applying a generation takes it away, so that what was read before is not kept (I1).
 *
 * Bounded: a client may send any `Host`.
 */
export class OriginMemory {
  readonly #answers = new Map<string, OriginAnswer>()
  readonly #capacity: number

  constructor(capacity = 1000) {
    this.#capacity = capacity
  }

  lookUp(origin: string): boolean | undefined {
    return this.#answers.get(origin)?.has
  }

  /** A question that is about to be asked: its answer is to be put into it. */
  begin(origin: string): OriginAnswer {
    const last = this.#answers.get(origin)
    if (this.#answers.size >= this.#capacity) this.#answers.clear()
    const answer: OriginAnswer = { has: undefined, before: last?.has ?? last?.before }
    this.#answers.set(origin, answer)
    return answer
  }

  /** A realm came, went or moved: its origin must be asked about again. */
  apply(realmUrl: RealmUrl): void {
    const url = URL.parse(realmUrl)
    if (url !== null) this.#answers.delete(url.origin)
  }

  reset(): void {
    this.#answers.clear()
  }
}
