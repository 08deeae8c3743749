export interface Timer {
  readonly at: number
  readonly fire: () => void
}

interface Entry extends Timer {
  readonly order: number
  cancelled: boolean
}

/** A heap of timers: by time, and first come first served among equals. */
export class Timers {
  readonly #heap: Array<Entry> = []
  #order = 0

  /** Answers how to call it off. */
  add(at: number, fire: () => void): () => void {
    const entry: Entry = { at, fire, order: this.#order++, cancelled: false }
    const heap = this.#heap
    let index = heap.push(entry) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(entry, heap[parent] as Entry)) break
      heap[index] = heap[parent] as Entry
      index = parent
    }
    heap[index] = entry
    return () => {
      entry.cancelled = true
    }
  }

  takeBefore(until: number): Timer | undefined {
    while (true) {
      const first = this.#heap[0]
      if (first === undefined || first.at > until) return undefined
      this.#removeFirst()
      if (!first.cancelled) return first
    }
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop() as Entry
    if (heap.length === 0) return
    let index = 0
    while (true) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++
      if (!before(heap[child] as Entry, last)) break
      heap[index] = heap[child] as Entry
      index = child
    }
    heap[index] = last
  }
}

const before = (one: Entry, other: Entry) => one.at < other.at || (one.at === other.at && one.order < other.order)
