import { Clock, Context, Effect, Layer } from "effect"
import { unversioned } from "../domain/RealmUrl.ts"
import { Membership } from "./Membership.ts"

/** Why a generation moved. */
export type Cause =
  | "publish"
  | "unpublish"
  | "delete"
  | "create"
  /** A write over HTTP. */
  | "write"
  /** A batch that another writer left half done was finished. */
  | "recovery"
  /** An edit on disk. */
  | "edit"
  /** Who may do what with it has changed, and no byte. */
  | "access"
  /** Somebody asked for it. */
  | "call"

/** What happened, as plain data. Only what applies is there. */
export interface Happening {
  readonly kind:
    /** A publish returned: `millis` in all, `barrierMillis` of them for the other replicas. */
    | "publish"
    /** This replica forgot what it knew: of `paths`, or of the whole realm. */
    | "invalidation"
    /** Definitions were voided here because what they were made from changed. */
    | "cascade"
    /** A module was made here. */
    | "transpile"
    /** A module was taken from the shared cache, or from another replica's run. */
    | "shared"
    /** Another replica's work was done here, because that replica did not end it. */
    | "takeover"
    | "failure"
    /** The lease, or the session that it lives on, was lost. */
    | "lease"
  readonly realmUrl?: string
  readonly path?: string
  readonly paths?: ReadonlyArray<string> | "*"
  readonly generation?: number
  /** How long it took. */
  readonly millis?: number
  readonly barrierMillis?: number
  readonly live?: number
  readonly acked?: number
  readonly cause?: Cause | undefined
  /** How this replica came to know: it made the change, heard of it, or found it in the rows. */
  readonly via?: "own" | "notification" | "catch-up"
  /** The replica that made the change, where it is known. */
  readonly by?: string | undefined
  readonly detail?: string
}

/** A happening with its place in this boot's log. */
export interface Recorded extends Happening {
  /** Counted from 1 by each boot. */
  readonly id: number
  /** Wall-clock milliseconds. */
  readonly at: number
}

/** What one replica remembers of what it did. */
export interface Log {
  /** Synchronous and cheap: a push into a ring. Never called for a hit in memory. */
  readonly record: (happening: Happening) => void
  /** What is remembered after this id, oldest first. */
  readonly since: (id: number) => ReadonlyArray<Recorded>
  /** Calls `listener` with each happening until the function that is returned is called. Listeners must not wait. */
  readonly listen: (listener: (recorded: Recorded) => void) => () => void
  /** The newest id. */
  readonly newest: () => number
}

const nothing: Log = { record: () => {}, since: () => [], listen: () => () => {}, newest: () => 0 }

/** Happenings of a kind that is rare. A thousand transpiles must not push out the publish that they are due to. */
const rareCapacity = 2_000
const frequentCapacity = 8_000

/** Beyond these a change names too many paths to remember them: it says how many there were. */
const maxPaths = 100

const maxDetail = 500

/**
 * What happened on this replica lately, for people: in memory, bounded by two rings, lost with the process. Where no layer
 * provides it, nothing is recorded.
 */
export const EventLog = Context.Reference<Log>("lockstep/coordination/EventLog", { defaultValue: () => nothing })

export const layerEventLog = Layer.effect(
  EventLog,
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const { replicaId } = yield* Membership
    return makeLog(() => clock.currentTimeMillisUnsafe(), replicaId)
  })
)

/** A log by this clock; changes without an author are by `replicaId`. */
export const makeLog = (now: () => number, replicaId: string): Log => {
  const rare = new Ring<Recorded>(rareCapacity)
  const frequent = new Ring<Recorded>(frequentCapacity)
  const listeners = new Set<(recorded: Recorded) => void>()
  let newest = 0

  return {
    record: (happening) => {
      const recorded = { ...bounded(happening), id: ++newest, at: now() }
      if (recorded.via === "own") recorded.by = replicaId
      const ring = happening.kind === "transpile" || happening.kind === "shared" ? frequent : rare
      ring.push(recorded)
      for (const listener of listeners) listener(recorded)
    },
    since: (id) => {
      const found = [...rare.values(), ...frequent.values()].filter((recorded) => recorded.id > id)
      return found.sort((a, b) => a.id - b.id)
    },
    listen: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    newest: () => newest
  }
}

type Writable = { -readonly [K in keyof Happening]: Happening[K] }

const bounded = (happening: Happening): Writable => {
  const { detail, paths, realmUrl } = happening
  const cut: Writable = { ...happening }
  if (realmUrl !== undefined) cut.realmUrl = unversioned(realmUrl)
  if (paths !== undefined && paths !== "*" && paths.length > maxPaths) {
    cut.paths = paths.slice(0, maxPaths)
    cut.detail = `${paths.length} paths`
  }
  if (detail !== undefined && detail.length > maxDetail) cut.detail = `${detail.slice(0, maxDetail)}…`
  return cut
}

/** The last `capacity` values. */
class Ring<A> {
  readonly #values: Array<A> = []
  readonly #capacity: number
  #next = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  push(value: A): void {
    this.#values[this.#next] = value
    this.#next = (this.#next + 1) % this.#capacity
  }

  values(): ReadonlyArray<A> {
    return this.#values
  }
}

/** Whether a happening concerns this file of a realm: by its path, its alias, or because it concerns all of the realm. */
export const concerns = (recorded: Recorded, realmUrl: string, names: ReadonlySet<string>): boolean => {
  if (recorded.realmUrl !== realmUrl) return false
  if (recorded.path !== undefined) return names.has(recorded.path)
  const { paths } = recorded
  return paths === undefined || paths === "*" || paths.some((path) => names.has(path))
}
