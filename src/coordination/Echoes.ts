/**
 * Tells the contract's message of a change from a raw one that somebody else sent. A replica sends both its own message,
 * with the generation, and the contract's, which then says nothing new. Channels are drained apart, so either may be heard
 * first; one that is heard too early is taken for a raw one, which costs cached bytes and nothing else.
 *
 * Forgetting is safe for the same reason, and keeps it bounded.
 */
export class Echoes {
  // By sender and payload: how many were announced and not heard yet; below zero, heard and not announced yet.
  readonly #open = new Map<string, number>()
  readonly #capacity: number

  constructor(capacity = 10_000) {
    this.#capacity = capacity
  }

  /** The sender said what these payloads say. */
  announce(sender: number, payloads: ReadonlyArray<string>): void {
    for (const payload of payloads) this.#add(`${sender} ${payload}`, 1)
  }

  /** Whether this payload only repeats what its sender announced. */
  hear(sender: number, payload: string): boolean {
    return this.#add(`${sender} ${payload}`, -1) >= 0
  }

  /** After a gap nothing is known of what was sent. */
  clear(): void {
    this.#open.clear()
  }

  #add(key: string, by: 1 | -1): number {
    const count = (this.#open.get(key) ?? 0) + by
    if (count === 0) this.#open.delete(key)
    else {
      if (this.#open.size >= this.#capacity) this.#open.clear()
      this.#open.set(key, count)
    }
    return count
  }
}
