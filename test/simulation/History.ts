import type { RealmRow } from "../../src/store/RealmTable.ts"
import { Executions } from "./Executions.ts"
import type { Simulation } from "./Simulation.ts"
import { resolve, type Truth } from "./Truth.ts"

/** What a client asked for. */
export interface Question {
  readonly place: number
  /** Which of the processes that are started there one after the other. */
  readonly process: string
  readonly truth: Truth
  readonly realmUrl: string
  readonly name: string
  readonly flow: "module" | "fenced"
  /** `@generation`, and the least generation that the client insists on. */
  readonly version: number | undefined
  readonly token: number
}

/** What it was told: a file of some generation, that there is no such file or realm, or that it cannot be had now. */
export type Answer =
  | { readonly _tag: "File"; readonly text: string; readonly generation: number; readonly unconfirmed: boolean }
  | { readonly _tag: "NoFile" }
  | { readonly _tag: "NoRealm" }
  | { readonly _tag: "Failed"; readonly reason: string }

/** Milliseconds for which a version that was superseded is kept. */
export const versionAge = 2_500

const told = (answer: Answer): string =>
  answer._tag === "File" ? `${answer.generation} "${answer.text}"` : JSON.stringify(answer)

/** Staleness that a lease allows, and the shortest time that counts. */
const epsilon = 1

/** All that happened in one run, checked as it happens. */
export class History {
  readonly lines: Array<string> = []
  readonly violations: Array<string> = []
  readonly executions: Executions
  /** What nobody has answered yet. */
  readonly open = new Set<Question>()
  reads = 0
  failures = 0
  /** The worst staleness of an answer, in milliseconds after the commit that it did not know of. */
  stalest = 0
  readonly #simulation: Simulation
  /** How long a replica may not know of a commit that nobody has returned from, in milliseconds. */
  readonly bound: number
  // Who committed each generation.
  readonly #owners = new Map<string, string>()
  readonly #shown = new Map<string, number>()

  /** `lease` is the longest that a replica of this run holds. */
  constructor(simulation: Simulation, lease: number) {
    this.#simulation = simulation
    this.bound = lease * 1.01 + epsilon
    this.executions = new Executions((detail) => this.violated("I5", detail))
  }

  note(line: string): void {
    const { now } = this.#simulation
    this.#simulation.mix(line.length + Math.trunc(now * 1000))
    this.lines.push(`${now.toFixed(3).padStart(10)}  ${line}`)
  }

  violated(invariant: string, detail: string): void {
    const line = `VIOLATION of ${invariant}: ${detail}`
    this.violations.push(`${invariant}: ${detail}`)
    this.note(line)
  }

  committed(row: RealmRow, buried: ReadonlyArray<string>, owner: string): void {
    this.#owners.set(`${row.realmUrl} ${row.generation}`, owner)
    this.executions.voided(row, buried)
    this.note(`${owner} commits ${row.realmUrl} ${row.generation} ${row.state} ${buried.join(" ")}`)
  }

  /** I4: whoever is told that a change stands has had it committed by the replica that says so. */
  acknowledged(realmUrl: string, generation: number, by: string): void {
    const owner = this.#owners.get(`${realmUrl} ${generation}`)
    if (owner !== by) {
      this.violated("I4", `${by} acknowledged ${realmUrl} ${generation}, which ${owner ?? "nobody"} committed`)
    }
  }

  /** Answers how to end the question: with its answer, or with none when its client has given it up. */
  asked(question: Question): (answer: Answer | undefined) => void {
    const { flow, name, place, realmUrl } = question
    const start = this.#simulation.now
    const key = `${place} ${realmUrl}`
    const shownBefore = this.#shown.get(key) ?? 0
    this.open.add(question)
    return (answer) => {
      this.open.delete(question)
      if (answer === undefined) return
      const asked = `${realmUrl}${question.version === undefined ? "" : `@${question.version}/`}${name}`
      const when = `asked at ${start.toFixed(3)} of replica ${place}`
      this.note(`${flow} ${asked} ${when}: ${told(answer)}`)
      this.reads++
      if (answer._tag === "Failed") {
        this.failures++
        return
      }
      const wrong = (invariant: string, detail: string) => this.violated(invariant, `${asked} ${when}: ${detail}`)
      if (question.version !== undefined) return this.#checkVersion(question, answer, wrong)
      if (answer._tag === "File") {
        if (answer.generation < shownBefore) wrong("I3", `${answer.generation} after ${shownBefore} was shown`)
        this.#shown.set(key, Math.max(answer.generation, this.#shown.get(key) ?? 0))
        this.#checkPublished(question, answer, wrong)
        if (answer.unconfirmed) return
        if (answer.generation < question.token) wrong("I1", `${answer.generation} is below the token ${question.token}`)
      }
      // What a request works on is not kept for longer than that.
      if (answer._tag === "NoFile" && this.#simulation.now - start > versionAge) return
      this.#checkFresh(question, answer, start, wrong)
    }
  }

  #checkFresh(
    { name, process, truth }: Question,
    answer: Exclude<Answer, { readonly _tag: "Failed" }>,
    start: number,
    wrong: (invariant: string, detail: string) => void
  ): void {
    for (const [invariant, bound] of [["I1", Infinity], ["I2", this.bound]] as const) {
      const floor = truth.floorAt(start, process, name, bound)
      if (answer._tag === "File" && answer.generation < floor.generation) {
        return wrong(invariant, `generation ${answer.generation}, though ${floor.generation} was there`)
      }
      const text = answer._tag === "File" ? answer.text : undefined
      if (!truth.was(name, text, floor.state, this.#simulation.now)) {
        return wrong(invariant, `${told(answer)}, which is not so since generation ${floor.generation}`)
      }
    }
    if (answer._tag === "File") {
      this.stalest = Math.max(this.stalest, truth.stalenessOf(answer.generation, start))
    }
  }

  // Generation, state and directory come from one row: what is shown under a generation is what it published. The fenced
  // cache does not know its bytes, and may meet the newer ones of a generation that was committed meanwhile.
  #checkPublished(
    { flow, name, truth, version }: Question,
    answer: Extract<Answer, { readonly _tag: "File" }>,
    wrong: (invariant: string, detail: string) => void
  ): void {
    if (truth.isSource) return
    const index = truth.states.findIndex((state) => state.generation === answer.generation)
    const published = resolve(truth.states[index]?.files, name)
    if (published === answer.text) return
    if (flow === "fenced" && version === undefined && truth.was(name, answer.text, index, this.#simulation.now)) return
    wrong("I1", `"${answer.text}" under ${answer.generation}, which has "${published}"`)
  }

  #checkVersion(
    question: Question,
    answer: Exclude<Answer, { readonly _tag: "Failed" }>,
    wrong: (invariant: string, detail: string) => void
  ): void {
    if (answer._tag !== "File") return
    if (answer.generation > (question.version ?? 0)) {
      wrong("I3", `${answer.generation} is newer than what was asked for`)
    }
    this.#checkPublished(question, answer, wrong)
  }
}
