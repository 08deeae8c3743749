/** A map over another that it does not change: what is written is kept apart until somebody merges it. */
export class LayeredMap<K, V> extends Map<K, V> {
  readonly #below: ReadonlyMap<K, V>
  readonly written = new Map<K, V | undefined>()

  constructor(below: ReadonlyMap<K, V>) {
    super()
    this.#below = below
  }

  override get(key: K): V | undefined {
    return this.written.has(key) ? this.written.get(key) : this.#below.get(key)
  }

  override has(key: K): boolean {
    return this.written.has(key) ? this.written.get(key) !== undefined : this.#below.has(key)
  }

  override set(key: K, value: V): this {
    this.written.set(key, value)
    return this
  }

  override delete(key: K): boolean {
    const had = this.has(key)
    if (had) this.written.set(key, undefined)
    return had
  }

  override get size(): number {
    return Array.from(this.entries()).length
  }

  override *entries(): MapIterator<[K, V]> {
    for (const [key, value] of this.#below) if (!this.written.has(key)) yield [key, value]
    for (const [key, value] of this.written) if (value !== undefined) yield [key, value]
  }

  override *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key
  }

  override *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  override [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}

export const merge = <K, V>(into: Map<K, V>, written: ReadonlyMap<K, V | undefined>): void => {
  for (const [key, value] of written) {
    if (value === undefined) into.delete(key)
    else into.set(key, value)
  }
}
