import type { RealmRow } from "../../src/store/RealmTable.ts"

type Files = ReadonlyMap<string, string>

/** A realm as it was from `at` on. Published realms: one state a generation. Source realms: one a change on disk. */
export interface State {
  readonly at: number
  /** Of a published realm. */
  readonly generation: number
  /** None while there is no such realm. */
  readonly files: Files | undefined
  /** Of a source realm: a batch was half done, or somebody who knows nothing of replicas has edited. */
  readonly isTorn?: boolean
  readonly isEdit?: boolean
}

/** A generation that was committed, and the state that a reader must have reached who knows of it. */
interface Floor {
  readonly at: number
  readonly generation: number
  /** Per path, or for all of them. */
  readonly paths: Map<string, number> | number
  /** The last change of each path that whoever committed has made. */
  readonly changes: ReadonlyMap<string, number>
  /** The state that whoever asked for an invalidation of everything had seen. */
  least: number
  /** Who may not answer from before it: the process that said so, or all. */
  process?: string
}

/** Of a change that all have applied. */
export const everywhere = "everywhere"

/** The file that a name stands for. */
export const resolve = (files: Files | undefined, name: string): string | undefined =>
  files?.get(name) ?? files?.get(`${name}.gts`) ?? files?.get(`${name}.ts`)

/** All that ever was true of one realm, and when: what answers are held against. */
export class Truth {
  readonly isSource: boolean
  readonly states: Array<State> = [{ at: 0, generation: 0, files: undefined }]
  readonly #committed: Array<Floor> = []
  /** Floors of changes whose caller was told so. */
  readonly #returned: Array<Floor> = []

  constructor(isSource: boolean) {
    this.isSource = isSource
  }

  get generation(): number {
    return this.#committed.at(-1)?.generation ?? 0
  }

  /** A source realm's files have changed; answers the number of the state. */
  changed(at: number, files: Files, how: "torn" | "whole" | "edited"): number {
    const isEdit = how === "edited"
    const isTorn = isEdit ? this.states.at(-1)?.isTorn === true : how === "torn"
    return this.states.push({ at, generation: 0, files: new Map(files), isTorn, isEdit }) - 1
  }

  /** Whether these are all files of one state since that one, unless somebody has edited in between. */
  wasWhole(files: Files, since: number): boolean {
    const states = this.states.slice(since)
    const isSame = (other: Files | undefined) =>
      other?.size === files.size && Array.from(files).every(([path, text]) => other.get(path) === text)
    return states.slice(1).some(({ isEdit }) => isEdit) ||
      states.some((state) => state.isTorn !== true && isSame(state.files))
  }

  /** A generation was committed. */
  commit(
    at: number,
    row: RealmRow,
    files: Files | undefined,
    buried: ReadonlyArray<string>,
    changes: ReadonlyMap<string, number>
  ): void {
    if (this.isSource) {
      const paths = new Map(buried.map((path) => [path, changes.get(path) ?? 0]))
      this.#committed.push({ at, generation: row.generation, paths, changes, least: 0 })
    } else {
      this.states.push({ at, generation: row.generation, files: files === undefined ? undefined : new Map(files) })
      this.#committed.push({ at, generation: row.generation, paths: this.states.length - 1, changes, least: 0 })
    }
  }

  /**
   * Somebody was told that a change of these paths, or an invalidation of all there was at state `least`, is committed:
   * it is everywhere from then on, or in the process that said so: not in the one that takes its place.
   */
  returned(
    at: number,
    generation: number,
    paths: ReadonlyArray<string>,
    process: string,
    least: number
  ): void {
    const floor = this.#committed.find((each) => each.generation === generation)
    if (floor === undefined) return
    floor.least = Math.max(floor.least, least)
    for (const path of paths) {
      if (typeof floor.paths !== "number") floor.paths.set(path, floor.changes.get(path) ?? 0)
    }
    this.#returned.push(process === everywhere ? { ...floor, at } : { ...floor, at, process })
  }

  /** The least generation and state that an answer of this process, to a request begun at `start`, may show. */
  floorAt(
    start: number,
    process: string,
    name: string,
    bound: number
  ): { readonly generation: number; readonly state: number } {
    let generation = 0
    let state = 0
    const raise = (floor: Floor) => {
      generation = Math.max(generation, floor.generation)
      state = Math.max(state, floor.least)
      if (typeof floor.paths === "number") state = Math.max(state, floor.paths)
      else {
        for (const [path, index] of floor.paths) {
          if (path === name || path.startsWith(`${name}.`)) state = Math.max(state, index)
        }
      }
    }
    for (const floor of this.#returned) {
      if (floor.at < start && (floor.process === undefined || floor.process === process)) raise(floor)
    }
    for (const floor of this.#committed) if (floor.at < start - bound) raise(floor)
    return { generation, state }
  }

  /**
   * Whether the realm said so at some state from `least` on, before `until`. The files that a name may stand for are looked
   * at one after another: in a source realm, which is edited meanwhile, each may be seen at a later state than the last.
   */
  was(name: string, text: string | undefined, least: number, until: number): boolean {
    const states = this.states.slice(least).filter(({ at }) => at <= until)
    if (!this.isSource) return states.some(({ files }) => resolve(files, name) === text)
    let from = 0
    for (const path of [name, `${name}.gts`, `${name}.ts`]) {
      const seen = states.slice(from)
      if (text !== undefined && seen.some(({ files }) => files?.get(path) === text)) return true
      const absent = seen.findIndex(({ files }) => files?.get(path) === undefined)
      if (absent < 0) return false
      from += absent
    }
    return text === undefined
  }

  /** Whether a source realm's file ever said so. */
  had(path: string, text: string | undefined): boolean {
    return this.states.some(({ files }) => files?.get(path) === text)
  }

  /** How long ago, at `start`, the generation was superseded. */
  stalenessOf(generation: number, start: number): number {
    const next = this.#committed.find((each) => each.generation > generation)
    return next === undefined ? 0 : Math.max(0, start - next.at)
  }
}
