/**
 * A bounded queue that serves groups in turn: with k groups waiting, each gets every k-th turn, however many items
 * another has queued. First in, first out within a group. Every operation takes constant time.
 */
export interface FairQueue<A> {
  /** False when the queue is full; the item was not taken. An item may be queued once at a time. */
  readonly offer: (group: string, item: A) => boolean
  readonly poll: () => A | undefined
  /** Takes an item out of its turn; false if it is no longer here. */
  readonly remove: (group: string, item: A) => boolean
  readonly size: () => number
}

export const make = <A>(limit: number): FairQueue<A> => {
  // a Map and a Set iterate in insertion order: the first group is the next to be served, its first item the oldest
  const groups = new Map<string, Set<A>>()
  let size = 0

  const remove = (group: string, item: A): boolean => {
    const items = groups.get(group)
    if (items === undefined || !items.delete(item)) return false
    if (items.size === 0) groups.delete(group)
    size--
    return true
  }

  return {
    remove,
    size: () => size,
    offer(group, item) {
      if (size >= limit) return false
      const items = groups.get(group)
      if (items === undefined) groups.set(group, new Set([item]))
      else items.add(item)
      size++
      return true
    },
    poll() {
      for (const [group, items] of groups) {
        for (const item of items) {
          remove(group, item)
          if (groups.delete(group)) groups.set(group, items)
          return item
        }
      }
      return undefined
    }
  }
}
