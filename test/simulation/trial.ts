import { startFaults } from "./faults.ts"
import { ask, startReader, startWriter } from "./clients.ts"
import { History } from "./History.ts"
import { draw, faultsEnd, healed, patience } from "./Plan.ts"
import type { Replica } from "./Replica.ts"
import { Simulation } from "./Simulation.ts"
import { addTo, type Tally } from "./Tally.ts"
import { resolve } from "./Truth.ts"
import { publishedUrls, sourceUrl, World } from "./World.ts"

/** What came of one seed. */
export interface Outcome {
  readonly seed: number
  /** Equal for two runs exactly if they went the same way. */
  readonly hash: string
  readonly steps: number
  readonly reads: number
  readonly failures: number
  readonly stalest: number
  readonly executions: number
  /** How often each fault happened. */
  readonly tally: Tally
  /** What the services of the replicas that lived at the end have counted. */
  readonly counters: Readonly<Record<string, number>>
  readonly violations: ReadonlyArray<string>
  readonly lines: ReadonlyArray<string>
}

/** Runs one seed to its end and holds everything that was answered against what was true. */
export const runTrial = (seed: number): Outcome => {
  const simulation = new Simulation(seed)
  const plan = draw(simulation)
  const history = new History(simulation, Math.max(...plan.leases))
  const world = new World(simulation, plan, history)
  for (const place of plan.leases.keys()) world.boot(place)
  startFaults(world)
  for (let index = 0; index < 5; index++) startReader(world, faultsEnd + 1_500)
  for (let index = 0; index < 3; index++) startWriter(world, `writer ${index}`, faultsEnd)
  simulation.run(healed)
  const open = askEverywhere(world)
  // Where nothing has failed, whatever was asked before must have been answered too.
  const isOpen = () => open.size > 0 || (plan.healthy && history.open.size > 0)
  while (isOpen() && simulation.now < healed + patience) simulation.run(simulation.now + 100)
  for (const question of open) history.violated("I7", `${question} has no answer after ${patience} ms`)
  if (plan.healthy) {
    for (const { name, place, realmUrl } of history.open) {
      history.violated("I7", `replica ${place} has not answered ${realmUrl}${name}, though nothing has failed`)
    }
    simulation.run(simulation.now + 1_000)
    const { held } = world.locks
    if (held > 0) history.violated("I7", `${held} locks are still held, though everything is done`)
    history.executions.check()
  }
  const counters: Record<string, number> = {}
  for (const replica of world.replicas) addTo(counters, replica.counters ?? {})
  return {
    seed,
    hash: simulation.hash.toString(16).padStart(8, "0"),
    steps: simulation.steps,
    reads: history.reads,
    failures: history.failures,
    stalest: history.stalest,
    executions: history.executions.total,
    tally: simulation.tally,
    counters,
    violations: history.violations,
    lines: history.lines
  }
}

/** I6: when the faults have ended and the bound is over, every replica answers, and answers what is true. */
const askEverywhere = (world: World): ReadonlySet<string> => {
  const { history } = world
  // What is not answered yet.
  const open = new Set<string>()
  for (const replica of world.replicas) {
    const { place } = replica.identity
    expectLease(world, replica, open)
    for (const realmUrl of [sourceUrl, ...publishedUrls]) {
      for (const flow of ["module", "fenced"] as const) {
        for (const name of flow === "module" ? ["a.ts", "b.ts", "c"] : ["a.ts", "b.ts"]) {
          const truth = world.truth(realmUrl)
          const process = replica.process.name
          // A writer whom the faults held up may be at work still: what it has not returned from, or commits after the
          // question, a replica need not know within the bound.
          const now = world.simulation.now
          const floor = truth.floorAt(now, process, name, history.bound)
          const since = floor.generation
          const sinceState = Math.max(floor.state, truth.states.findLastIndex(({ at }) => at < now - history.bound))
          const question = `replica ${place} on ${realmUrl}${name} by ${flow}`
          open.add(question)
          ask(
            world,
            replica,
            { place, process, truth, realmUrl, name, flow, version: undefined, token: 0 },
            (answer) => {
              open.delete(question)
              const states = truth.states.slice(sinceState)
              const texts = states.map(({ files }) => resolve(files, name))
              const wrong = (detail: string) => history.violated("I6", `${question}: ${detail}`)
              if (answer._tag === "Failed") return wrong(answer.reason)
              if (answer._tag === "NoRealm") {
                return states.some(({ files }) => files === undefined) ? undefined : wrong("no such realm")
              }
              if (answer._tag === "NoFile") {
                return truth.isSource || texts.includes(undefined) ? undefined : wrong("no such file")
              }
              if (answer.generation < since || answer.generation > truth.generation) {
                wrong(`${answer.generation} instead of ${since} to ${truth.generation}`)
              }
              // A file of a source realm may have been changed by somebody who never committed it.
              if (!truth.isSource && !texts.includes(answer.text)) {
                wrong(`"${answer.text}" instead of "${texts.at(-1)}"`)
              }
            }
          )
        }
      }
    }
  }
  return open
}

// A slow network may outlast a short lease now and then, but not always.
const expectLease = ({ simulation }: World, replica: Replica, open: Set<string>): void => {
  const lease = `replica ${replica.identity.place} for its lease`
  open.add(lease)
  const look = (): void => {
    if (replica.holdsLease) open.delete(lease)
    else simulation.after(20, look)
  }
  look()
}
