import { Context, Effect, Layer, Option, Queue, Result, Schedule } from "effect"
import { Notifications } from "../coordination/Notifications.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { checkName, ofName, type RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFileTable } from "../store/RealmFileTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { Transaction } from "../store/Transaction.ts"
import { RealmFiles } from "./RealmFiles.ts"

/** How often the registry is compared without having heard anything: notifications may be lost. */
const pollInterval = "5 seconds"

/** How long hints are gathered before the registry is looked at. */
const settleInterval = "100 millis"

/**
 * Makes this replica follow the registry (S28), which is the truth about which realms exist. Directories that appear
 * among the source realms are registered; realms that left the registry are unmounted. A realm is mounted by its first
 * request.
 */
export class Reconciler extends Context.Service<Reconciler, {
  /** Takes note that a request reached this realm. */
  readonly mount: (realm: RealmRow) => Effect.Effect<void>
  /** Realms mounted here. */
  readonly mounted: Effect.Effect<ReadonlyArray<RealmUrl>>
  /** One pass, as the notification and the poll run it. */
  readonly reconcile: Effect.Effect<void>
}>()("lockstep/realms/Reconciler") {
  static readonly layer = (publicUrl: RealmUrl) =>
    Layer.effect(
      Reconciler,
      Effect.gen(function*() {
        const files = yield* RealmFiles
        const lock = yield* RealmWriteLock
        const notifications = yield* Notifications
        const realms = yield* RealmTable
        const recorded = yield* RealmFileTable
        const transaction = yield* Transaction
        const mounted = new Set<RealmUrl>()
        const known = new Set<string>()

        // Its files are recorded as it is born: an edit that nobody watches is found by comparing.
        const mount = Effect.fnUntraced(function*(realmUrl: RealmUrl, name: string) {
          // Another replica may have been first; what is recorded then is not ours to replace.
          if ((yield* realms.read([realmUrl])).realms.length > 0) return Option.none<number>()
          // A create that failed while its lock was waited for has taken its directory away.
          if (!(yield* files.sources).includes(name)) return Option.none<number>()
          yield* recorded.recordAll(realmUrl, yield* files.scan({ directory: name }, undefined, new Map()))
          return yield* transaction.run(Effect.gen(function*() {
            yield* realms.holdRegistry
            // Somebody may have mounted a realm around this one since it was looked at: the next pass says so.
            if ((yield* realms.overlapping(realmUrl)).length > 0) return Option.none<number>()
            return yield* realms.mount({ realmUrl, kind: "source", directory: name, sourceUrl: null }, 0)
          }))
        })

        const warnOfOtherUrl = Effect.fnUntraced(function*(realmUrl: RealmUrl, name: string) {
          const other = (yield* realms.list).find((row) => row.kind === "source" && row.directory === name)
          if (other === undefined) return
          yield* Effect.logError(
            `The directory ${name} is the realm ${other.realmUrl} already, and now becomes ${realmUrl} too. ` +
              "All replicas of one database must be given the same --public-url: is this one's right?"
          )
        })

        // A row of any state means that the URL has a history: what is gone comes back by create or publish only.
        const register = Effect.fnUntraced(function*(name: string) {
          const realmUrl = ofName(publicUrl, name)
          const { realms: rows } = yield* realms.read([realmUrl])
          const [other] = yield* realms.overlapping(realmUrl)
          if (rows.length === 0 && other !== undefined) {
            yield* Effect.logWarning(`The directory ${name} is not served: ${realmUrl} overlaps the realm ${other}`)
          } else if (rows.length === 0) {
            yield* warnOfOtherUrl(realmUrl, name)
            const generation = yield* lock.withLock(realmUrl)(mount(realmUrl, name))
            if (Option.isNone(generation)) return
            yield* Effect.logInfo(`Registered the source realm ${realmUrl}`)
            yield* notifications.notify([{ channel: "realm_registry", payload: realmUrl }])
          } else if (rows[0]?.state === "live" && rows[0].kind === "published") {
            yield* Effect.logWarning(`The directory ${name} is not served: ${realmUrl} is a published realm`)
          }
          known.add(name)
        })

        const adopt = Effect.gen(function*() {
          for (const name of yield* files.sources) {
            if (known.has(name)) continue
            const checked = checkName(name)
            if (Result.isSuccess(checked)) yield* register(name)
            else {
              known.add(name)
              yield* Effect.logWarning(`A directory is not served: ${checked.failure.message}`)
            }
          }
        })

        const unmount = Effect.gen(function*() {
          if (mounted.size === 0) return
          const live = new Set((yield* realms.list).map((row) => row.realmUrl))
          for (const realmUrl of mounted) {
            if (live.has(realmUrl)) continue
            mounted.delete(realmUrl)
            yield* Effect.logInfo(`Unmounted ${realmUrl}: it left the registry`)
          }
        })

        const reconcile = Effect.andThen(adopt, unmount).pipe(
          Effect.catch((error) => Effect.logWarning("The registry could not be followed; trying again", error)),
          // A pass every second or so, which finds nothing to do, would drown every other trace.
          Effect.withTracerEnabled(false)
        )

        // One slot: any number of hints while a pass runs ask for one more.
        const hints = yield* Queue.dropping<void>(1)
        yield* notifications.subscribe((event) => {
          const told = event._tag === "Message" && event.message.channel === "realm_registry"
          if (told || event._tag === "Gap") Queue.offerUnsafe(hints, undefined)
        })
        yield* reconcile
        // Not at once: whoever sent the hint waits for this replica's acknowledgement first.
        const settled = Effect.andThen(Queue.take(hints), Effect.sleep(settleInterval))
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(settled, reconcile)))
        yield* Effect.forkScoped(Effect.repeat(
          Effect.asVoid(Queue.offer(hints, undefined)),
          Schedule.spaced(pollInterval)
        ))

        return Reconciler.of({
          mount: (realm) =>
            Effect.suspend(() => {
              if (mounted.has(realm.realmUrl)) return Effect.void
              mounted.add(realm.realmUrl)
              return Effect.logInfo(`Mounted ${realm.realmUrl} at generation ${realm.generation}`)
            }),
          mounted: Effect.sync(() => Array.from(mounted)),
          reconcile
        })
      })
    )
}
