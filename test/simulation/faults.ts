import { collecting } from "./clients.ts"
import { faultsEnd } from "./Plan.ts"
import type { Replica } from "./Replica.ts"
import type { Process } from "./Simulation.ts"
import type { World } from "./World.ts"

/** Draws when each fault of the plan happens, and makes it happen. All have ended when `faultsEnd` is reached. */
export const startFaults = (world: World): void => {
  const { history, plan, postgres, simulation } = world
  const places = world.replicas.map((_, place) => place)

  /** At random times, `count` times for each place. */
  const each = (count: number, strike: (replica: Replica, length: number) => void) => {
    for (const place of places) {
      for (let index = 0; index < count; index++) {
        const at = simulation.between(100, faultsEnd)
        simulation.after(at, () => {
          const replica = world.replicas[place]
          if (replica === undefined) return
          const longest = Math.min(3 * (plan.leases[place] ?? 1_000), faultsEnd - at)
          strike(replica, simulation.random() * longest)
        })
      }
    }
  }
  const tell = (replica: Replica, what: string) => history.note(`${replica.process.name} ${what}`)

  const pause = (replica: Replica, length: number) => {
    if (replica.process.state !== "up") return
    tell(replica, `is stopped for ${length.toFixed(0)} ms`)
    replica.process.pause()
    // The server ends sessions that say nothing.
    const idle = (sessions: typeof world.idle.locks, after: number) =>
      simulation.after(after, () => {
        if (replica.process.state !== "paused" || length < after) return
        for (const connection of Array.from(sessions)) if (connection.isOf(replica.process)) connection.end()
      })
    idle(world.idle.locks, 800)
    idle(world.idle.writes, 1_500)
    simulation.after(length, () => replica.process.resume())
  }

  const kill = (replica: Replica) => {
    const { place } = replica.identity
    tell(replica, "is killed")
    replica.kill()
    simulation.after(simulation.between(5, 500), () => {
      if (world.replicas[place] === replica) world.boot(place)
    })
  }

  each(plan.pauses, pause)
  each(plan.kills, kill)
  each(plan.stops, (replica) => {
    const { place } = replica.identity
    tell(replica, "is told to end")
    replica.stop()
    simulation.after(simulation.between(5, 500), () => {
      if (world.replicas[place] === replica) world.boot(place)
    })
  })
  each(plan.cuts, (replica, length) => {
    tell(replica, `is cut off for ${length.toFixed(0)} ms`)
    replica.link.cut(length)
  })
  each(plan.blackHoles, (replica, length) => {
    tell(replica, `sends into a black hole for ${length.toFixed(0)} ms`)
    replica.link.blackHole(length)
  })
  each(plan.terminations, (replica) => {
    tell(replica, "has a session terminated")
    const connections = Array.from(replica.link.connections)
    if (connections.length > 0) simulation.pick(connections).end()
  })
  each(plan.wallSteps, (replica) => {
    const step = simulation.pick([-3_000, -500, 500, 3_000])
    tell(replica, `has its wall clock stepped by ${step} ms`)
    replica.process.stepWallClock(step)
  })
  for (let index = 0; index < plan.crashes; index++) {
    simulation.after(simulation.between(100, faultsEnd), () => {
      history.note("PostgreSQL crashes: what is UNLOGGED is lost")
      postgres.crash()
      for (const replica of world.replicas) replica.link.cut(simulation.between(20, 200))
    })
  }
  for (let index = 0; index < plan.collections; index++) {
    simulation.after(simulation.between(100, faultsEnd), () => {
      simulation.pick(world.replicas).handle(collecting, () => {})
    })
  }
  const withLock = (): void => {
    if (simulation.now > faultsEnd) return
    for (const connection of Array.from(world.idle.writes)) {
      if (!simulation.chance(plan.lostLocks)) continue
      history.note("a write lock's session is terminated")
      connection.end()
    }
    simulation.after(50, withLock)
  }
  if (plan.lostLocks > 0) withLock()
  const elsewhere = (): void => {
    postgres.writeElsewhere(Math.trunc(simulation.random() * 20))
    if (simulation.now < faultsEnd) simulation.after(40, elsewhere)
  }
  if (plan.crashes > 0) elsewhere()

  const soonOver = () => simulation.now > faultsEnd - 1_500
  const replicaOf = (process: Process) => world.replicas.find((candidate) => candidate.process === process)
  world.onCommit = ({ owner }) => {
    if (soonOver()) return
    const replica = replicaOf(owner)
    if (replica !== undefined && simulation.chance(plan.struckCommits)) {
      tell(replica, "is struck after its commit")
      const length = simulation.random() * 1_000
      const strike = simulation.pick([
        pause,
        kill,
        () => replica.link.cut(length),
        () => replica.link.blackHole(length)
      ])
      simulation.after(simulation.random() * 10, () => strike(replica, length))
    }
    for (const other of world.replicas) {
      const age = simulation.now - (postgres.caughtUp.get(other.process) ?? 0)
      if (other === replica || !simulation.chance(plan.struckOthers * (age < 10 ? 1 : 0.3))) continue
      const length = simulation.random() * 1_500
      tell(other, `becomes unreachable at that moment for ${length.toFixed(0)} ms`)
      const strike = simulation.pick([() => other.link.cut(length), () => other.link.blackHole(length)])
      // What the server has sent already may still arrive.
      simulation.after(simulation.pick([0, 1, 20]), strike)
    }
  }
  world.disk.onCopied = (process) => {
    const replica = replicaOf(process)
    if (soonOver() || replica === undefined || !simulation.chance(plan.struckCopies)) return
    pause(replica, 1_300)
    const sweeper = simulation.pick(world.replicas.filter((candidate) => candidate !== replica))
    simulation.after(1_250, () => sweeper.handle(collecting, () => {}))
  }
  simulation.after(faultsEnd, () => {
    plan.weather.failing = 0
    plan.weather.stalling = 0
    world.disk.failing = 0
    plan.disconnects = 0
    plan.mishaps.lost = 0
    plan.mishaps.duplicated = 0
    plan.mishaps.reordered = 0
  })
}
