import type { OnPartition } from "../../src/coordination/Generations.ts"
import type { Weather } from "./Link.ts"
import type { Mishaps } from "./notifications.ts"
import { type ClockFault, Simulation } from "./Simulation.ts"

/** When the faults end, and when what they left behind must have healed. Milliseconds of true time. */
export const faultsEnd = 5_000
export const healed = 11_000
/** How long an answer may take once everything is well: losers of an election wait for winners for half a minute. */
export const patience = 40_000

/** What befalls one run. Each seed draws its own regime, so that every kind of fault is also met alone. */
export interface Plan {
  /** Nothing fails: only delays and the order of things differ. */
  readonly calm: boolean
  /** Nothing keeps the replicas from PostgreSQL, and none of them ends: L2 and the coordination work throughout. */
  readonly healthy: boolean
  readonly weather: Weather
  readonly mishaps: Mishaps
  readonly leases: ReadonlyArray<number>
  /** Replicas that share an id. */
  readonly twins: boolean
  readonly onPartition: OnPartition
  /** Milliseconds that a write may take between its snapshot and its effect. */
  readonly slowWrites: number
  /** How many transpiles take seconds. */
  readonly slowWork: number
  /** How many requests their clients give up. */
  disconnects: number
  readonly failingFiles: number
  /** How many file operations take a tenth of a second. */
  readonly slowFiles: number
  /** How many of each befall one replica. */
  readonly pauses: number
  readonly kills: number
  readonly stops: number
  readonly cuts: number
  readonly blackHoles: number
  readonly terminations: number
  readonly wallSteps: number
  /** How often PostgreSQL loses what is UNLOGGED. */
  readonly crashes: number
  /** How many commits freeze, kill or cut off who made them, before the reply is there. */
  readonly struckCommits: number
  /** How many commits find another replica unreachable from that moment on, most of all one that has just caught up. */
  readonly struckOthers: number
  /** How many copies freeze their publisher until the sweeper has come by. */
  readonly struckCopies: number
  /** How often a writer of a realm loses its lock session while it works. */
  readonly lostLocks: number
  readonly collections: number
  /** How many replies to a replica that reads realms wait until one of these has moved. */
  readonly overtakenReadings: number
  /** How many computations whose path is buried last until the tombstone was collected. */
  readonly outlivedWork: number
  /** How many members that seem dead are only forgotten when they have renewed. */
  readonly heldForgetting: number
  /** How many commits come when another replica has just caught up, which makes a lease last as long as it can. */
  readonly heldCommits: number
  /** Clocks at opposite edges of what they may drift, a quick network, and replicas that vanish when they have renewed. */
  readonly opposed: boolean
  /** Requests and replies that are on their way for long, commits in the midst of renewals, and processes that begin anew. */
  readonly late: boolean
  readonly clock: (place?: number) => ClockFault
}

/** What a plan may have in store that some bugs need. */
export const circumstances = {
  opposed: (plan: Plan) => plan.opposed,
  late: (plan: Plan) => plan.late,
  crashes: (plan: Plan) => plan.crashes > 0,
  "wall clock steps": (plan: Plan) => plan.wallSteps > 0 && plan.struckOthers > 0,
  twins: (plan: Plan) => plan.twins,
  "different leases": (plan: Plan) => new Set(plan.leases).size > 1,
  serve: (plan: Plan) => plan.onPartition === "serve" && !plan.healthy,
  "slow writes": (plan: Plan) => plan.slowWrites > 0,
  collections: (plan: Plan) => plan.collections > 0,
  "outlived work": (plan: Plan) => plan.outlivedWork > 0,
  "overtaken readings": (plan: Plan) => plan.overtakenReadings > 0,
  "struck copies": (plan: Plan) => plan.struckCopies > 0,
  "struck commits": (plan: Plan) => plan.struckCommits > 0 || plan.weather.unanswered > 0,
  "lost write locks": (plan: Plan) => plan.lostLocks > 0,
  disconnects: (plan: Plan) => plan.disconnects > 0,
  "acknowledgements before news": ({ mishaps }: Plan) =>
    mishaps.deaf === 0 && mishaps.lost < 0.5 && mishaps.delayed === 0 && mishaps.late > 0,
  "held forgetting": (plan: Plan) => plan.heldForgetting > 0,
  "slow files": (plan: Plan) => plan.slowFiles > 0,
  "lost replies to commits": ({ mishaps, struckCommits }: Plan) =>
    struckCommits > 0 && mishaps.deaf === 0 && mishaps.lost < 0.5 && mishaps.delayed === 0 && mishaps.late > 0,
  calm: (plan: Plan) => plan.calm && plan.weather.latency < 15,
  healthy: (plan: Plan) => plan.healthy
}
export type Circumstance = keyof typeof circumstances

/** The first seeds, from this one on, whose plan has that in store. */
export const seedsWith = (circumstance: Circumstance | undefined, first: number, count: number): Array<number> => {
  const seeds: Array<number> = []
  for (let seed = first; seeds.length < count; seed++) {
    if (circumstance === undefined || circumstances[circumstance](draw(new Simulation(seed)))) seeds.push(seed)
  }
  return seeds
}

export const draw = (simulation: Simulation): Plan => {
  const { random } = simulation
  const calm = simulation.chance(0.1)
  const sometimes = <A>(value: () => A, otherwise: A): A => simulation.chance(0.4) && !calm ? value() : otherwise
  const healthy = calm || simulation.chance(0.2)
  const unlessHealthy = <A>(value: A, otherwise: A): A => healthy ? otherwise : value
  const regime = healthy ? 1 : random()
  const opposed = regime < 0.1
  const late = regime >= 0.1 && regime < 0.25
  const upTo = (most: number) =>
    unlessHealthy(opposed || late ? 0 : sometimes(() => 1 + Math.trunc(random() * most), 0), 0)
  // Half of the runs sit on the edges of what clocks may drift.
  const edge = simulation.chance(0.5)
  const skew = sometimes(() => 1_000, 0)
  const base = opposed ? 1_400 : late ? 500 : simulation.pick([500, 800, 1_400])
  const struckCommits = opposed || late ? 0 : unlessHealthy(sometimes(() => 0.3, 0), 0)
  simulation.preempt = simulation.pick([0, 0.02, 0.1])
  return {
    calm,
    healthy,
    weather: {
      latency: opposed ? 0.2 : late ? 2 : simulation.pick([0.5, 3, 15]),
      tail: opposed ? 0 : simulation.pick([0, 0.1, 0.3]),
      failing: unlessHealthy(sometimes(() => simulation.pick([0.01, 0.05]), 0), 0),
      unanswered: unlessHealthy(sometimes(() => simulation.pick([0.005, 0.02]), 0), 0),
      unansweredCommits: struckCommits > 0 ? 0.3 : 0,
      stalling: opposed || late ? 0 : sometimes(() => 0.08, 0),
      stallingCatchUps: late ? 0.35 : 0
    },
    mishaps: {
      lost: late ? 0 : sometimes(() => simulation.pick([0.3, 0.7, 1]), 0),
      delayed: sometimes(() => 0.3, 0),
      deaf: late ? 0.4 : sometimes(() => 0.3, 0),
      duplicated: sometimes(() => 0.3, 0),
      reordered: sometimes(() => 0.3, 0),
      late: late ? 0 : sometimes(() => 0.9, 0)
    },
    leases: opposed || late || simulation.chance(0.5)
      ? [base, base, base]
      : [base, simulation.pick([base, 500, 1_000]), simulation.pick([base, base, 700])],
    twins: simulation.chance(0.3),
    onPartition: simulation.chance(0.2) ? "serve" : "refuse",
    slowWrites: simulation.chance(0.5) ? 400 : 0,
    slowWork: simulation.pick([0, 0.05, 0.3]),
    disconnects: sometimes(() => 0.1, 0),
    failingFiles: sometimes(() => 0.02, 0),
    slowFiles: sometimes(() => 0.2, 0),
    pauses: upTo(3),
    kills: upTo(2),
    stops: upTo(1),
    cuts: upTo(2),
    blackHoles: upTo(2),
    terminations: upTo(3),
    wallSteps: upTo(2),
    crashes: upTo(2),
    struckCommits,
    struckOthers: opposed ? 0.9 : late ? 0 : unlessHealthy(sometimes(() => 0.5, 0), 0),
    struckCopies: opposed || late ? 0 : unlessHealthy(sometimes(() => 0.2, 0), 0),
    lostLocks: unlessHealthy(sometimes(() => 0.2, 0), 0),
    collections: simulation.chance(0.5) ? 4 : 0,
    overtakenReadings: opposed || late ? 0 : sometimes(() => 0.5, 0),
    outlivedWork: opposed || late ? 0 : sometimes(() => 0.7, 0),
    heldForgetting: unlessHealthy(sometimes(() => 0.7, 0), 0),
    heldCommits: opposed ? 0.9 : late ? 0.6 : unlessHealthy(sometimes(() => 0.4, 0), 0),
    opposed,
    late,
    clock: (place) => ({
      rate: 1 + 0.0099 * (opposed ? (place === 0 ? 1 : -1) : edge ? simulation.pick([-1, 1]) : 2 * random() - 1),
      offset: (random() - 0.5) * skew
    })
  }
}
