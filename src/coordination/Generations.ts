import { Context, Deferred, Effect, Exit, Layer, Option, Result, Schema, type Scope } from "effect"
import { DatabaseError } from "../domain/errors.ts"
import { aliasOf, decode } from "../domain/ModulePath.ts"
import { type RealmUrl, splitPayload } from "../domain/RealmUrl.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { Counters } from "./Counters.ts"
import { Echoes } from "./Echoes.ts"
import { Fence } from "./Fence.ts"
import { Notifications } from "./Notifications.ts"

/**
 * A realm as one read of its row saw it. Generation, state and directory come from that one row (never from a second
 * query), and `token` was taken in the same step, so whatever is computed from this view is fenced by it.
 */
export interface RealmView {
  readonly row: RealmRow
  readonly incarnation: string
  readonly fence: Fence
  readonly token: number
}

/** A realm moved to `generation`: these paths are void, or everything. */
export interface Change {
  readonly realmUrl: RealmUrl
  readonly generation: number
  readonly paths: ReadonlyArray<string> | "*"
}

/** The payload of `lockstep_generations`. */
const Payload = Schema.fromJsonString(Schema.Struct({
  r: Schema.String,
  g: Schema.Finite,
  p: Schema.Union([Schema.Literal("*"), Schema.Array(Schema.String)])
}))
const decodePayload = Schema.decodeUnknownResult(Payload)

/** The payload of `module_cache_invalidated` (S21). */
const DefinitionPayload = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ k: Schema.Literal("module"), r: Schema.String, m: Schema.Array(Schema.String) }),
  Schema.Struct({ k: Schema.Literal("realm"), r: Schema.String }),
  Schema.Struct({ k: Schema.Literal("global") })
]))
const decodeDefinitionPayload = Schema.decodeUnknownResult(DefinitionPayload)

/** PostgreSQL takes payloads below 8,000 bytes. */
const maxPayload = 7999

/**
 * What this replica knows of each realm's generation, and the fences that its caches obey.
 *
 * Every read asks PostgreSQL for the realm's row, so that no answer is older than the request (I1); questions that
 * arrive while one is under way share the next. What is heard on `lockstep_generations` only makes caches forget less:
 * a change that is heard in order voids its own paths, one that was missed voids the realm.
 */
export class Generations extends Context.Service<Generations, {
  /** The live realms among these URLs, in the order given. */
  readonly view: (urls: ReadonlyArray<RealmUrl>) => Effect.Effect<ReadonlyArray<RealmView>, DatabaseError>
  /** Applies a change that this replica made or heard. */
  readonly apply: (change: Change) => Effect.Effect<void>
  /** Tells the other replicas, after the commit. Losing it costs them cached bytes, never correctness. */
  readonly broadcast: (change: Change) => Effect.Effect<void, DatabaseError>
  /** The generation that this replica has applied, of realms that it has looked at. */
  readonly applied: Effect.Effect<ReadonlyArray<readonly [RealmUrl, number]>>
}>()("lockstep/coordination/Generations") {
  static readonly layer = Layer.effect(
    Generations,
    Effect.gen(function*() {
      const realms = yield* RealmTable
      const notifications = yield* Notifications
      const counters = yield* Counters
      const tracked = makeTracked(counters)
      const read = yield* makeBatchedRead(realms)
      yield* notifications.subscribe(makeReceiver(tracked, counters))

      const view = Effect.fnUntraced(function*(urls: ReadonlyArray<RealmUrl>) {
        // A snapshot taken just before a change that was heard since is behind this replica: it must not go back (I3).
        for (let attempt = 0;; attempt++) {
          const snapshot = yield* read(urls)
          const rows = urls.flatMap((url) => snapshot.realms.get(url) ?? [])
          const behind = rows.some((row) => tracked.observe(row) === "behind")
          if (!behind) {
            return rows
              .filter((row) => row.state === "live")
              .map((row): RealmView => ({ row, incarnation: snapshot.incarnation, ...tracked.capture(row.realmUrl) }))
          }
          if (attempt >= 5) {
            return yield* new DatabaseError({
              operation: "read realms",
              cause: new Error("its generations went back; was it restored from a backup? Restart this replica")
            })
          }
        }
      })

      return Generations.of({
        view,
        apply: (change) => Effect.sync(() => tracked.apply(change)),
        broadcast: (change) => notifications.notify(messagesOf(change)),
        applied: Effect.sync(() => tracked.list())
      })
    })
  )
}

/** Fences and applied generations, for the realms looked at most recently. */
const makeTracked = (counters: Counters["Service"]) => {
  interface Tracked {
    generation: number
    readonly fence: Fence
  }
  // Forgetting a realm loses its fence, and entries of another fence are never hits: safe, and bounded.
  const capacity = 10_000
  const realms = new Map<RealmUrl, Tracked>()

  const advance = (realm: Tracked, change: Change) => {
    const inOrder = change.generation === realm.generation + 1
    if (change.paths === "*" || !inOrder) {
      if (!inOrder) counters.gapsRepaired++
      realm.fence.drop()
    } else {
      for (const path of change.paths) invalidate(realm.fence, path)
    }
    realm.generation = change.generation
  }

  return {
    get: (url: RealmUrl) => realms.get(url),
    list: () => Array.from(realms, ([url, { generation }]) => [url, generation] as const),
    apply: (change: Change) => {
      const realm = realms.get(change.realmUrl)
      if (realm !== undefined && change.generation > realm.generation) advance(realm, change)
    },
    /** Takes note of a row that was read. */
    observe: ({ generation, realmUrl }: RealmRow): "behind" | "current" => {
      let realm = realms.get(realmUrl)
      if (realm === undefined) {
        if (realms.size >= capacity) realms.delete(realms.keys().next().value as RealmUrl)
        realm = { generation, fence: new Fence() }
      } else {
        realms.delete(realmUrl)
      }
      realms.set(realmUrl, realm)
      if (generation < realm.generation) return "behind"
      if (generation > realm.generation) advance(realm, { realmUrl, generation, paths: "*" })
      return "current"
    },
    capture: (url: RealmUrl) => {
      const { fence } = realms.get(url) as Tracked
      return { fence, token: fence.capture() }
    }
  }
}

const invalidate = (fence: Fence, path: string) => {
  fence.invalidate(path)
  // The name without extension may have stood for this file, or may stand for it from now on.
  const alias = aliasOf(path)
  if (alias !== undefined) fence.invalidate(alias)
}

/** The receiving half: hears, clears, and never broadcasts. */
const makeReceiver = (tracked: ReturnType<typeof makeTracked>, counters: Counters["Service"]) => {
  const echoes = new Echoes()
  return (event: Parameters<Parameters<Notifications["Service"]["subscribe"]>[0]>[0]) => {
    if (event._tag === "Gap") return echoes.clear()
    const { channel, payload, sender } = event.message
    if (channel === "lockstep_generations") {
      const decoded = decodePayload(payload)
      if (Result.isFailure(decoded)) return void counters.malformedPayloads++
      const change: Change = {
        realmUrl: decoded.success.r as RealmUrl,
        generation: decoded.success.g,
        paths: decoded.success.p
      }
      counters.invalidationsReceived++
      tracked.apply(change)
      echoes.announce(sender, seedPayloads(change))
    } else if (channel === "realm_file_changes") {
      const parts = splitPayload(payload)
      if (parts === undefined) return void counters.malformedPayloads++
      if (echoes.hear(sender, payload)) return
      counters.invalidationsReceived++
      const fence = tracked.get(parts.realmUrl as RealmUrl)?.fence
      if (fence === undefined) return
      if (parts.path === "*") fence.drop()
      else invalidate(fence, parts.path)
    } else if (channel === "module_cache_invalidated") {
      const decoded = decodeDefinitionPayload(payload)
      if (Result.isFailure(decoded)) return void counters.malformedPayloads++
      counters.invalidationsReceived++
      const message = decoded.success
      if (message.k === "global") return tracked.list().forEach(([url]) => tracked.get(url)?.fence.drop())
      const fence = tracked.get(message.r as RealmUrl)?.fence
      if (message.k === "realm") fence?.drop()
      else for (const url of message.m) if (url.startsWith(message.r)) fence?.invalidate(pathOf(message.r, url))
    }
  }
}

const pathOf = (realmUrl: string, url: string) => Result.getOrElse(decode(url.slice(realmUrl.length)), () => "")

/** What the contract's channel says of a change. */
const seedPayloads = ({ paths, realmUrl }: Change): ReadonlyArray<string> =>
  paths === "*" ? [`${realmUrl}:*`] : paths.map((path) => `${realmUrl}:${path}`)

/** The contract's messages for a change, led by our own, which carries the generation. */
export const messagesOf = ({ generation, paths, realmUrl }: Change) => {
  const own = (p: Change["paths"]) => JSON.stringify({ r: realmUrl, g: generation, p })
  const fits = (payload: string) => Buffer.byteLength(payload) <= maxPayload
  const named = paths !== "*" && fits(own(paths)) ? paths : "*"
  return [
    { channel: "lockstep_generations", payload: own(named) } as const,
    ...seedPayloads({ generation, paths: named, realmUrl }).map((payload) =>
      ({ channel: "realm_file_changes", payload }) as const
    )
  ]
}

interface Batch {
  readonly urls: Set<RealmUrl>
  readonly result: Deferred.Deferred<
    { readonly incarnation: string; readonly realms: ReadonlyMap<RealmUrl, RealmRow> },
    DatabaseError
  >
}

/** One question at a time: whoever asks while one is under way joins the next, which starts after they asked (I1). */
const makeBatchedRead = Effect.fnUntraced(function*(realms: RealmTable["Service"]) {
  const scope: Scope.Scope = yield* Effect.scope
  let next: Batch | undefined
  let running = false

  const run = Effect.gen(function*() {
    while (next !== undefined) {
      const batch: Batch = next
      next = undefined
      yield* realms.read(Array.from(batch.urls)).pipe(
        Effect.map((snapshot) => ({
          incarnation: snapshot.incarnation,
          realms: new Map(snapshot.realms.map((row) => [row.realmUrl, row]))
        })),
        Effect.onExit((exit) => Effect.sync(() => Deferred.doneUnsafe(batch.result, exit))),
        Effect.exit
      )
    }
    // In one step with the look at `next`: a question that came in between would wait for ever.
    running = false
  })

  // The layer is closing: whoever still asks is told so.
  const ended = (exit: Exit.Exit<void>) => {
    if (Exit.isSuccess(exit)) return
    running = false
    if (next !== undefined) Deferred.doneUnsafe(next.result, Exit.failCause(exit.cause))
    next = undefined
  }

  return (urls: ReadonlyArray<RealmUrl>) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        next ??= { urls: new Set(), result: Deferred.makeUnsafe() }
        const { result } = next
        for (const url of urls) next.urls.add(url)
        if (running) return restore(Deferred.await(result))
        running = true
        return Effect.flatMap(Effect.forkIn(run, scope), (fiber) => {
          fiber.addObserver(ended)
          return restore(Deferred.await(result))
        })
      })
    )
})

/** The first of the views, which is the one with the longest URL when candidates were given longest first. */
export const firstView = (views: ReadonlyArray<RealmView>): Option.Option<RealmView> => Option.fromNullishOr(views[0])
