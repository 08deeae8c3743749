import { aliasOf } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import type { RealmRow, RealmSnapshot } from "../store/RealmTable.ts"
import type { Counters } from "./Counters.ts"
import type { Cause } from "./EventLog.ts"
import { Fence } from "./Fence.ts"
import { OriginMemory } from "./OriginMemory.ts"

/**
 * A realm as one read of its row saw it. Generation, state and directory come from that one row (never from a second
 * query), and `token` was taken in the same step, so whatever is computed from this view is fenced by it.
 */
export interface RealmView {
  readonly row: RealmRow
  readonly incarnation: string
  readonly fence: Fence
  readonly token: number
  /** PostgreSQL could not be asked and no lease is held: the answer may be old, and must say so. */
  readonly unconfirmed?: true
}

/** A realm moved to `generation`: these paths are void, or everything. */
export interface Change {
  readonly realmUrl: RealmUrl
  readonly generation: number
  readonly paths: ReadonlyArray<string> | "*"
  /** Why, where it is known: only people want to know. */
  readonly cause?: Cause | undefined
}

/** What finished answers are compared with. */
export interface Known {
  readonly generation: number
  readonly fence: Fence
  readonly isPrivate: boolean
}

interface Realm {
  /** The newest generation applied here. It never goes back (I3). */
  generation: number
  readonly fence: Fence
  /** The row at that generation; none while it is not known, as after a change that moved more than paths. */
  row: RealmRow | undefined
  /** The word of the last row. */
  isPrivate: boolean
  incarnation: string
}

/** A query under way: what was heard meanwhile may be newer than what it will answer. */
export interface Reading {
  readonly heard: Map<RealmUrl, number>
  void: boolean
}

/**
 * What this replica knows of realms: rows, also of those that do not exist, and the fences that its caches obey. Rows are
 * L1 values under the same rule as all others: applying a generation replaces them and voids the reads under way.
 *
 * Everything here is synchronous. Bounded: forgetting a realm loses its fence, and entries of another fence are no hits.
 */
export class RealmMemory {
  readonly origins = new OriginMemory()
  readonly #realms = new Map<RealmUrl, Realm>()
  readonly #absent = new Set<RealmUrl>()
  readonly #readings = new Set<Reading>()
  readonly #counters: Counters["Service"]
  readonly #capacity: number

  constructor(counters: Counters["Service"], capacity = 10_000) {
    this.#counters = counters
    this.#capacity = capacity
  }

  /** The first live realm among these URLs, if memory knows all that come before it; else undefined: ask. */
  lookUp(urls: ReadonlyArray<RealmUrl>): ReadonlyArray<RealmView> | undefined {
    for (const url of urls) {
      const realm = this.#realms.get(url)
      if (realm === undefined ? !this.#absent.has(url) : realm.row === undefined) return undefined
      if (realm?.row?.state === "live") return [viewOf(realm, realm.row)]
    }
    return []
  }

  /** A live realm at the generation that is applied here, as far as memory knows it. */
  known(url: RealmUrl): Known | undefined {
    const realm = this.#realms.get(url)
    return realm?.row?.state === "live" ? realm : undefined
  }

  /** The view of a live realm, as far as memory knows it. */
  view(url: RealmUrl): RealmView | undefined {
    const realm = this.#realms.get(url)
    return realm?.row?.state === "live" ? viewOf(realm, realm.row) : undefined
  }

  fenceOf(url: RealmUrl): Fence | undefined {
    return this.#realms.get(url)?.fence
  }

  applied(): ReadonlyArray<readonly [RealmUrl, number]> {
    return Array.from(this.#realms, ([url, { generation }]) => [url, generation] as const)
  }

  /** Applies a change that was made, heard, or found by a catch-up. Says whether memory had not obeyed it before. */
  apply(change: Change): boolean {
    const { generation, realmUrl } = change
    this.origins.apply(realmUrl)
    for (const { heard } of this.#readings) heard.set(realmUrl, Math.max(generation, heard.get(realmUrl) ?? 0))
    this.#absent.delete(realmUrl)
    const realm = this.#realms.get(realmUrl)
    if (realm === undefined || generation <= realm.generation) return false
    this.#advance(realm, change)
    return true
  }

  /**
   * Forgets all that was known: another database, timeline or incarnation answers now. Generations too: a realm whose
   * making was lost is not there any more, and those of the others were raised.
   */
  reset(): void {
    for (const reading of this.#readings) reading.void = true
    this.#absent.clear()
    this.origins.reset()
    this.dropAll()
    this.#realms.clear()
  }

  dropAll(): void {
    for (const { fence } of this.#realms.values()) fence.drop()
  }

  beginReading(): Reading {
    const reading: Reading = { heard: new Map(), void: false }
    this.#readings.add(reading)
    return reading
  }

  /**
   * Takes note of what a query answered for these URLs, and gives the views of the realms that live. Undefined when it
   * is older than what was heard meanwhile, or than what this replica has shown before (I3): ask again.
   */
  endReading(
    reading: Reading,
    urls: Iterable<RealmUrl>,
    snapshot: RealmSnapshot
  ): ReadonlyMap<RealmUrl, RealmView> | undefined {
    this.#readings.delete(reading)
    if (reading.void) return undefined
    const rows = new Map(snapshot.realms.map((row) => [row.realmUrl, row]))
    const views = new Map<RealmUrl, RealmView>()
    for (const url of urls) {
      const row = rows.get(url)
      const known = this.#realms.get(url)
      if ((row?.generation ?? 0) < Math.max(known?.generation ?? 0, reading.heard.get(url) ?? 0)) return undefined
      if (row === undefined) {
        remember(this.#absent, url, this.#capacity)
        continue
      }
      const realm = known ??
        { generation: row.generation, fence: new Fence(), row, isPrivate: row.isPrivate, incarnation: "" }
      if (row.generation > realm.generation) {
        this.#advance(realm, { realmUrl: url, generation: row.generation, paths: "*" })
      }
      realm.row = row
      realm.isPrivate = row.isPrivate
      realm.incarnation = snapshot.incarnation
      this.#keep(url, realm)
      if (row.state === "live") views.set(url, viewOf(realm, row))
    }
    return views
  }

  abandonReading(reading: Reading): void {
    this.#readings.delete(reading)
  }

  #advance(realm: Realm, { generation, paths }: Change): void {
    const inOrder = generation === realm.generation + 1
    if (!inOrder) this.#counters.gapsRepaired++
    if (paths === "*" || !inOrder) {
      realm.fence.drop()
      realm.row = undefined
    } else {
      for (const path of paths) voidPath(realm.fence, path)
      if (realm.row !== undefined) realm.row = { ...realm.row, generation }
    }
    realm.generation = generation
  }

  // The most recently read realms are kept.
  #keep(url: RealmUrl, realm: Realm): void {
    this.#realms.delete(url)
    this.#realms.set(url, realm)
    if (this.#realms.size > this.#capacity) this.#realms.delete(this.#realms.keys().next().value as RealmUrl)
  }
}

/** Voids a path, and the name without extension: it may have stood for this file, or may stand for it from now on. */
export const voidPath = (fence: Fence, path: string): void => {
  fence.invalidate(path)
  const alias = aliasOf(path)
  if (alias !== undefined) fence.invalidate(alias)
}

const viewOf = ({ fence, incarnation }: Realm, row: RealmRow): RealmView => ({
  row,
  incarnation,
  fence,
  token: fence.capture()
})

const remember = <A>(set: Set<A>, value: A, capacity: number): void => {
  set.delete(value)
  set.add(value)
  if (set.size > capacity) set.delete(set.values().next().value as A)
}
