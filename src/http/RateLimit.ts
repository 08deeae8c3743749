import { LRUCache } from "lru-cache"

/** How often one client may ask. */
export interface Rate {
  readonly perSecond: number
  /** How many requests may come at once after a rest: a page asks for all of its modules. */
  readonly burst: number
}

interface Bucket {
  tokens: number
  filledAt: number
}

/** Clients that are remembered. Who was forgotten begins with a full bucket. */
const capacity = 20_000

/** Token buckets, one a client (a leaky bucket as a meter): synchronous, and bounded in memory. */
export class RateLimit {
  readonly #buckets = new LRUCache<string, Bucket>({ max: capacity })
  readonly #rate: Rate
  readonly #now: () => number

  /** `now` is a monotonic clock, in milliseconds. */
  constructor(rate: Rate, now: () => number) {
    this.#rate = rate
    this.#now = now
  }

  /** Takes one request from the client's bucket: 0, or in how many seconds to come back. */
  take(client: string): number {
    const { burst, perSecond } = this.#rate
    const now = this.#now()
    let bucket = this.#buckets.get(client)
    if (bucket === undefined) this.#buckets.set(client, bucket = { tokens: burst, filledAt: now })
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.filledAt) * perSecond / 1000)
    bucket.filledAt = now
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond))
    bucket.tokens--
    return 0
  }
}

/**
 * The client that an address stands for. An IPv6 host has a whole /64, and one address of it is as good as another; an IPv4
 * address may come mapped.
 */
export const clientOf = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped !== null) return mapped[1] ?? address
  if (!address.includes(":")) return address
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? []
  const groups = head.split(":").filter((group) => group !== "")
  const after = tail === undefined ? [] : tail.split(":").filter((group) => group !== "")
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length)
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...after]
  return all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(":") + "::/64"
}

/** The client at a connection's other end; behind a trusted proxy, whom that proxy names last. */
export const clientAddress = (
  remote: string | undefined,
  forwardedFor: string | undefined,
  trustProxy: boolean
): string => {
  const named = trustProxy ? forwardedFor?.split(",").at(-1)?.trim() : undefined
  return clientOf(named === undefined || named === "" ? remote ?? "" : named)
}
