/**
 * Orders what a replica reads against what it is told to forget. A reader takes a token before its first asynchronous
 * step; whatever it computed may enter a cache only while the token still holds for the path. Tokens count local
 * events, so they need no clock and no database.
 *
 * Remembering is bounded: past `capacity` distinct paths the whole realm is dropped, which is always safe.
 */
export class Fence {
  #events = 0
  #dropped = 0
  readonly #paths = new Map<string, number>()
  readonly #capacity: number

  constructor(capacity = 4096) {
    this.#capacity = capacity
  }

  /** A token for everything that is read from now on. */
  capture(): number {
    return this.#events
  }

  /** Whether nothing about `path` was forgotten since `token` was taken. */
  holds(token: number, path: string): boolean {
    return token >= this.#dropped && token >= (this.#paths.get(path) ?? 0)
  }

  /** Voids what is known of one path. Other paths are untouched (S2). */
  invalidate(path: string): void {
    this.#events++
    if (this.#paths.size >= this.#capacity && !this.#paths.has(path)) return this.drop()
    this.#paths.set(path, this.#events)
  }

  /** Voids everything of the realm. */
  drop(): void {
    this.#dropped = ++this.#events
    this.#paths.clear()
  }
}
