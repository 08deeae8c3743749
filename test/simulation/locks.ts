import { Context, Effect, Layer, Option } from "effect"
import { LockSession } from "../../src/coordination/LockSession.ts"
import { RealmWriteLock } from "../../src/coordination/RealmWriteLock.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import type { Connection, Link } from "./Link.ts"
import type { Channels } from "./notifications.ts"

interface Waiting {
  readonly owner: Connection
  readonly granted: () => void
}

/** Advisory locks, which their session holds until it gives them back or ends. */
export class AdvisoryLocks {
  readonly #held = new Map<string, { readonly owner: Connection; times: number }>()
  readonly #waiting = new Map<string, Array<Waiting>>()

  /** How many are held now. */
  get held(): number {
    return this.#held.size
  }

  isFree(key: string): boolean {
    return !this.#held.has(key)
  }

  tryLock(key: string, owner: Connection): boolean {
    const held = this.#held.get(key)
    if (held !== undefined && held.owner !== owner) return false
    this.#held.set(key, { owner, times: (held?.times ?? 0) + 1 })
    return true
  }

  lock(key: string, owner: Connection, granted: () => void): void {
    if (this.tryLock(key, owner)) return granted()
    this.#waiting.set(key, [...this.#waiting.get(key) ?? [], { owner, granted }])
  }

  unlock(key: string, owner: Connection): void {
    const held = this.#held.get(key)
    if (held?.owner !== owner) return
    if (--held.times > 0) return
    this.#held.delete(key)
    const [next, ...others] = this.#waiting.get(key) ?? []
    this.#waiting.set(key, others)
    if (next !== undefined) this.lock(key, next.owner, next.granted)
  }

  /** The session has ended. */
  release(owner: Connection): void {
    for (const [key, waiting] of this.#waiting) {
      this.#waiting.set(key, waiting.filter((each) => each.owner !== owner))
    }
    for (const [key, held] of Array.from(this.#held)) {
      if (held.owner !== owner) continue
      held.times = 1
      this.unlock(key, owner)
    }
  }
}

/** Sessions that the server ends when they have said nothing for a while: their replica is frozen or unreachable. */
export interface IdleSessions {
  readonly locks: Set<Connection>
  readonly writes: Set<Connection>
}

/** The lock session of one replica, opened by the first request after a loss. */
export const layerLockSession = (link: Link, locks: AdvisoryLocks, channels: Channels, idle: IdleSessions) =>
  Layer.sync(LockSession, () => {
    let session: Connection | undefined
    const held = new Set<string>()
    const connected = () => {
      if (session?.alive === true) return session
      const opened = link.open("take a coalescing lock")
      opened.onServer(() => locks.release(opened))
      // What is in work goes on: its locks are taken again, but for those that others have had meanwhile.
      for (const key of held) if (!locks.tryLock(key, opened)) held.delete(key)
      idle.locks.add(opened)
      opened.onClient(() => idle.locks.delete(opened))
      return session = opened
    }
    const ask = <A>(answering: (connection: Connection) => A) =>
      Effect.suspend(() => {
        const connection = connected()
        return Effect.timeoutOrElse(
          connection.call<A>("take a coalescing lock", (answer) => answer(answering(connection))),
          {
            duration: "2 seconds",
            // The session is given up with its locks: what it was asked may still happen.
            orElse: () =>
              Effect.suspend(() => {
                connection.end()
                return Effect.fail(
                  new DatabaseError({ operation: "take a coalescing lock", cause: new Error("no answer in time") })
                )
              })
          }
        )
      })
    return LockSession.of({
      tryLock: (key) =>
        Effect.tap(
          ask((connection) => locks.tryLock(key, connection)),
          (had) => Effect.sync(() => had && held.add(key))
        ),
      free: (keys) => ask(() => keys.filter((key) => locks.isFree(key))),
      release: (key) =>
        Effect.suspend(() => {
          held.delete(key)
          const connection = session
          if (connection?.alive !== true) return Effect.void
          return connection.call<void>("release a lock", (answer) => {
            channels.send(
              { channel: "module_cache_populated", payload: key, sender: link.process.index * 10 + 8 },
              link.process
            )
            locks.unlock(key, connection)
            answer(undefined)
          }).pipe(
            // A lock that could not be given back goes with its session.
            Effect.catch(() => Effect.sync(() => connection.end())),
            Effect.forkDetach,
            Effect.asVoid
          )
        }),
      connections: Effect.sync(() => session?.alive === true ? 1 : 0)
    })
  })

/** Writers of one process queue in memory, then for the advisory lock, on a connection of their own. */
export const layerRealmWriteLock = (link: Link, locks: AdvisoryLocks, idle: IdleSessions) =>
  Layer.effect(
    RealmWriteLock,
    Effect.gen(function*() {
      const mutex = Context.get(yield* Layer.build(Layer.fresh(RealmWriteLock.layerMemory)), RealmWriteLock)
      const session = Effect.fnUntraced(function*(realmUrls: ReadonlyArray<string>) {
        const connection = yield* Effect.acquireRelease(
          Effect.map(link.connect("lock a realm"), (opened) => {
            opened.onServer(() => locks.release(opened))
            idle.writes.add(opened)
            return opened
          }),
          (opened) =>
            Effect.sync(() => {
              idle.writes.delete(opened)
              opened.end()
            })
        )
        for (const key of Array.from(new Set(realmUrls)).sort()) {
          yield* connection.call<void>("lock a realm", (answer) =>
            locks.lock(`realm|${key}`, connection, () => answer(undefined)))
        }
      })
      return RealmWriteLock.of({
        withLock: (...realmUrls) => (write) =>
          mutex.withLock(...realmUrls)(Effect.scoped(Effect.gen(function*() {
            const had = yield* Effect.timeoutOption(session(realmUrls), "20 seconds")
            if (Option.isNone(had)) {
              return yield* new DatabaseError({ operation: "lock a realm", cause: new Error("waited too long") })
            }
            return yield* write
          })))
      })
    })
  )
