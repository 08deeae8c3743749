import type { CacheRow } from "../../src/store/CacheTable.ts"
import type { MemoryTables } from "../../src/store/MemoryDatabase.ts"
import type { RealmRow } from "../../src/store/RealmTable.ts"
import { LayeredMap, merge } from "./LayeredMap.ts"
import type { Process, Simulation } from "./Simulation.ts"

type Statement<A> = (tables: MemoryTables) => A

/** What a statement that wrote has written, map by map. */
type Written = Map<string, LayeredMap<unknown, unknown>>

/** A transaction that is open on some connection. */
export interface Transaction {
  readonly xid: number
  /** The process that began it. */
  readonly owner: Process
  readonly written: Written
  ended: boolean
}

/** What a commit wrote to realms, and which paths it buried. */
export interface Commit {
  readonly owner: Process
  readonly realms: ReadonlyArray<RealmRow>
  readonly buried: ReadonlyArray<{ readonly realmUrl: string; readonly path: string }>
}

interface Blocked {
  readonly transaction: Transaction | undefined
  readonly retry: () => boolean
}

/** Rows of one key in these maps are one row of PostgreSQL, so they are locked and re-read together. */
const rowOf: Readonly<Record<string, string>> = {
  insertFloors: "realms",
  salts: "realms",
  moves: "realms",
  renewals: "replicas"
}

const unlogged = /^cache /

/**
 * PostgreSQL as the memory tables can tell it: every statement happens at one instant on what is committed then, or, where
 * PostgreSQL splits it, reads a snapshot first and writes later. Transactions are READ COMMITTED: what they write is locked
 * by row, and seen by others from their commit on. A writer that meets a locked row waits, then looks at the row anew, but
 * at everything else through its old snapshot. A crash empties what is UNLOGGED, and with it transaction ids of unlogged
 * writes are given out again.
 */
export class Postgres {
  readonly committed = new Map<string, Map<unknown, unknown>>(
    [
      "realms",
      "insertFloors",
      "salts",
      "moves",
      "versions",
      "copies",
      "intents",
      "files",
      "index",
      "jobs",
      "permissions",
      "replicas",
      "renewals"
    ].map((
      name
    ) => [name, new Map()])
  )
  /** The transaction that last moved each realm (`changed_xid`). */
  readonly changedBy = new Map<string, number>()
  incarnation = "incarnation 0"
  crashes = 0
  /** Told of what each commit wrote to realms, at its instant. */
  onCommit: (commit: Commit) => void = () => {}
  readonly #simulation: Simulation
  /** When each process has last caught up, and who is told of it. */
  readonly caughtUp = new Map<Process, number>()
  onCatchUp: (process: Process, isMember: boolean) => void = () => {}
  /** Told when the reply to a catch-up has been there for a moment. */
  onCaughtUp: (process: Process) => void = () => {}
  /** May hold up the statement that forgets these members, by their boots; told of each renewal. */
  holdForgetting: (bootIds: ReadonlyArray<string>, forget: () => void) => void = (_, forget) => forget()
  onRenewal: (bootId: string) => void = () => {}
  /** May hold up the reply to a replica that reads these realms. */
  holdReading: (process: Process, urls: ReadonlyArray<string>, answer: () => void) => void = (_, __, answer) => answer()
  /** May hold up the commit of a transaction that its client has asked for. */
  holdCommit: (owner: Process, commit: () => void) => void = (_, commit) => commit()
  readonly #open = new Set<Transaction>()
  #blocked: Array<Blocked> = []
  #nextXid = 100
  #lastLogged = 99

  constructor(simulation: Simulation) {
    this.#simulation = simulation
  }

  begin(owner: Process): Transaction {
    const transaction: Transaction = { xid: this.#nextXid++, owner, written: new Map(), ended: false }
    this.#open.add(transaction)
    return transaction
  }

  /** The oldest transaction that has not ended (`pg_snapshot_xmin`). */
  get xmin(): number {
    let xmin = this.#nextXid
    for (const { xid } of this.#open) xmin = Math.min(xmin, xid)
    return xmin
  }

  /** The newest transaction that a crash does not lose. */
  get lastLogged(): number {
    return this.#lastLogged
  }

  /** What the next transaction is numbered. */
  get newest(): number {
    return this.#nextXid
  }

  read<A>(transaction: Transaction | undefined, statement: Statement<A>): A {
    return statement(this.#view(transaction, new Map(), undefined))
  }

  /**
   * Runs a writing statement and tells its result when its rows could be locked. With `pauseMillis` the statement takes
   * that long between its snapshot and its write.
   */
  write<A>(
    owner: Process,
    transaction: Transaction | undefined,
    statement: Statement<A>,
    done: (value: A) => void,
    pauseMillis = 0
  ): void {
    const own = transaction ?? this.begin(owner)
    const crashes = this.crashes
    const finish = (value: A) => {
      if (transaction === undefined) this.commit(own)
      done(value)
    }
    const first: Written = new Map()
    const value = statement(this.#view(own, first, undefined))
    if (pauseMillis === 0 && !this.#isLocked(own, first)) {
      this.#keep(own, first)
      return finish(value)
    }
    if (pauseMillis > 0) this.#simulation.befell("writes slow")
    const snapshot = this.#snapshot()
    const retry = () => {
      if (own.ended || this.crashes !== crashes) return true
      const written: Written = new Map()
      const again = statement(this.#view(own, written, { snapshot, latest: rowsOf(first) }))
      if (this.#isLocked(own, written)) return false
      this.#keep(own, written)
      finish(again)
      return true
    }
    const wait = () => {
      this.#simulation.befell("row locks waited for")
      this.#blocked.push({ transaction: own, retry })
    }
    const proceed = () => {
      if (!retry()) wait()
    }
    if (pauseMillis > 0) this.#simulation.after(pauseMillis, proceed)
    else wait()
  }

  commit(transaction: Transaction): boolean {
    if (transaction.ended) return false
    transaction.ended = true
    this.#open.delete(transaction)
    for (const [name, { written }] of transaction.written) {
      merge(this.#map(name), written)
      if (name === "moves") { for (const realm of written.keys()) this.changedBy.set(String(realm), transaction.xid) }
      if (written.size > 0 && !unlogged.test(name)) this.#lastLogged = Math.max(this.#lastLogged, transaction.xid)
    }
    const realms = transaction.written.get("realms")?.written.values() ?? []
    const rows = Array.from(realms, (row) => row as RealmRow)
    if (rows.length > 0) {
      this.onCommit({ owner: transaction.owner, realms: rows, buried: buriedBy(transaction) })
    }
    this.#unblock()
    return true
  }

  rollBack(transaction: Transaction): void {
    if (transaction.ended) return
    transaction.ended = true
    this.#open.delete(transaction)
    this.#unblock()
  }

  /** Writes to UNLOGGED tables that nobody here looks at: they take transaction ids, which a crash gives out again. */
  writeElsewhere(times: number): void {
    this.#nextXid += times
  }

  /** A backend died: every session ends, what is UNLOGGED is empty, what is committed and logged stays. */
  crash(): void {
    this.crashes++
    for (const transaction of this.#open) transaction.ended = true
    this.#open.clear()
    this.#blocked = []
    for (const [name, rows] of this.committed) if (unlogged.test(name)) rows.clear()
    this.incarnation = `incarnation ${this.crashes}`
    this.#simulation.befell("UNLOGGED tables lost")
    if (this.#nextXid > this.#lastLogged + 1) this.#simulation.befell("transaction ids given out again")
    this.#nextXid = this.#lastLogged + 1
  }

  #map(name: string): Map<unknown, unknown> {
    const map = this.committed.get(name) ?? new Map()
    this.committed.set(name, map)
    return map
  }

  #unblock(): void {
    const blocked = this.#blocked
    if (blocked.length === 0) return
    this.#blocked = []
    // A retry that commits unblocks others in turn: who is still waiting goes behind them.
    for (const each of blocked) if (!each.retry()) this.#blocked.push(each)
  }

  #snapshot(): ReadonlyMap<string, Map<unknown, unknown>> {
    return new Map(Array.from(this.committed, ([name, rows]) => [name, new Map(rows)]))
  }

  #isLocked(own: Transaction, written: Written): boolean {
    for (const [name, rows] of written) {
      if (name === "jobs") continue
      for (const other of this.#open) {
        if (other === own) continue
        const locked = other.written
        for (const key of rows.written.keys()) {
          for (const [otherName, otherRows] of locked) {
            if ((rowOf[otherName] ?? otherName) === (rowOf[name] ?? name) && otherRows.written.has(key)) return true
          }
        }
      }
    }
    return false
  }

  #keep(own: Transaction, written: Written): void {
    for (const [name, rows] of written) {
      const kept = own.written.get(name) ?? new LayeredMap(new Map())
      for (const [key, value] of rows.written) kept.written.set(key, value)
      own.written.set(name, kept)
    }
  }

  /** The tables as one statement sees them; what it writes is left in `written`. */
  #view(
    transaction: Transaction | undefined,
    written: Written,
    old:
      | { readonly snapshot: ReadonlyMap<string, Map<unknown, unknown>>; readonly latest: ReadonlySet<string> }
      | undefined
  ): MemoryTables {
    const layer = (name: string) => {
      const known = written.get(name)
      if (known !== undefined) return known
      const source = old === undefined || old.latest.has(rowOf[name] ?? name)
        ? this.#map(name)
        : old.snapshot.get(name) ?? new Map()
      const own = transaction?.written.get(name)
      const seen = own === undefined ? source : new LayeredMap(source)
      if (own !== undefined) merge(seen, own.written)
      const view = new LayeredMap<unknown, unknown>(seen)
      written.set(name, view)
      return view
    }
    return new View(layer, this.incarnation) as unknown as MemoryTables
  }
}

/** Tables that are made when a statement looks at them: most look at one. */
class View {
  readonly #layer: (name: string) => Map<unknown, unknown>
  readonly incarnation: string

  constructor(layer: (name: string) => Map<unknown, unknown>, incarnation: string) {
    this.#layer = layer
    this.incarnation = incarnation
  }

  get realms() {
    return this.#layer("realms")
  }

  get insertFloors() {
    return this.#layer("insertFloors")
  }

  get salts() {
    return this.#layer("salts")
  }

  get moves() {
    return this.#layer("moves")
  }

  get versions() {
    return this.#layer("versions")
  }

  get copies() {
    return this.#layer("copies")
  }

  get intents() {
    return this.#layer("intents")
  }

  get files() {
    return this.#layer("files")
  }

  get index() {
    return this.#layer("index")
  }

  get jobs() {
    return this.#layer("jobs")
  }

  get permissions() {
    return this.#layer("permissions")
  }

  get replicas() {
    return this.#layer("replicas")
  }

  get renewals() {
    return this.#layer("renewals")
  }

  get caches() {
    return new Map(cacheTables.map((name) => [name, this.#layer(`cache ${name}`)]))
  }
}

const cacheTables = ["module_transpile_cache", "modules"]

const rowsOf = (written: Written): ReadonlySet<string> =>
  new Set(Array.from(written, ([name, rows]) => rows.written.size > 0 ? rowOf[name] ?? name : ""))

const buriedBy = ({ written }: Transaction): Commit["buried"] =>
  Array.from(written.get("cache modules")?.written ?? []).flatMap(([key, row]) => {
    const [realmUrl = "", path = ""] = String(key).split("\0")
    return (row as CacheRow | undefined)?.values === null ? [{ realmUrl, path }] : []
  })
