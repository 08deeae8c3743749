import type { Member } from "../../src/store/ReplicaTable.ts"
import { askForPath, collecting, puttingBoth } from "./clients.ts"
import { faultsEnd } from "./Plan.ts"
import type { Replica } from "./Replica.ts"
import type { Process } from "./Simulation.ts"
import { publishedUrls, type Work, type World } from "./World.ts"

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

  /** The server ends sessions that say nothing. */
  const beSilent = (replica: Replica, length: number) => {
    const idle = (sessions: typeof world.idle.locks, after: number) => {
      const silent = Array.from(sessions).filter((connection) => connection.isOf(replica.process))
      if (length < after) return
      simulation.after(after, () => {
        for (const connection of silent) {
          if (!connection.alive) continue
          simulation.befell("idle sessions ended")
          connection.end()
        }
      })
    }
    idle(world.idle.locks, 800)
    idle(world.idle.writes, 1_500)
  }

  const pause = (replica: Replica, length: number) => {
    if (replica.process.state !== "up") return
    tell(replica, `is stopped for ${length.toFixed(0)} ms`)
    simulation.befell("replicas paused")
    replica.process.pause()
    beSilent(replica, length)
    simulation.after(length, () => replica.process.resume())
  }

  const cut = (replica: Replica, length: number) => {
    simulation.befell("links cut")
    replica.link.cut(length)
  }

  const blackHole = (replica: Replica, length: number) => {
    simulation.befell("black holes")
    replica.link.blackHole(length)
    beSilent(replica, length)
  }

  /** Another process takes the place of one that ends, a little later. */
  const restart = (replica: Replica) => {
    const { place } = replica.identity
    simulation.after(simulation.between(5, 500), () => {
      if (world.replicas[place] !== replica) return
      simulation.befell("replicas restarted")
      world.boot(place)
    })
  }

  const kill = (replica: Replica) => {
    if (replica.process.state === "dead") return
    tell(replica, "is killed")
    simulation.befell("replicas killed")
    replica.kill()
    restart(replica)
  }

  each(plan.pauses, pause)
  each(plan.kills, kill)
  each(plan.stops, (replica) => {
    if (replica.process.state === "dead") return
    tell(replica, "is told to end")
    simulation.befell("replicas told to end")
    replica.stop()
    restart(replica)
  })
  each(plan.cuts, (replica, length) => {
    tell(replica, `is cut off for ${length.toFixed(0)} ms`)
    cut(replica, length)
  })
  each(plan.blackHoles, (replica, length) => {
    tell(replica, `sends into a black hole for ${length.toFixed(0)} ms`)
    blackHole(replica, length)
  })
  each(plan.terminations, (replica) => {
    tell(replica, "has a session terminated")
    const connections = Array.from(replica.link.connections)
    if (connections.length === 0) return
    simulation.befell("sessions terminated")
    simulation.pick(connections).end()
  })
  const stepWallClock = (replica: Replica, step: number) => {
    tell(replica, `has its wall clock stepped by ${step} ms`)
    simulation.befell("wall clocks stepped")
    replica.process.stepWallClock(step)
  }
  each(plan.wallSteps, (replica) => stepWallClock(replica, simulation.pick([-3_000, -500, 500, 3_000])))
  // Nobody writes elsewhere either before the replicas have come back.
  let quietUntil = 0
  // A crash waits a little for a moment at which it does harm: when somebody's cursor is ahead of what was flushed, or when
  // a computation is under way whose path is buried.
  let crashDue: { readonly aim: "cursor" | "work"; cursor?: number; by?: Process } | undefined
  for (let index = 0; index < plan.crashes; index++) {
    simulation.after(simulation.between(100, faultsEnd - 2_000), () => {
      const due = crashDue = { aim: simulation.pick(["cursor", "work"] as const) }
      simulation.after(1_500, () => {
        if (crashDue === due) crash(simulation.pick(world.replicas), undefined)
      })
    })
  }
  // Replicas that have not caught up since a crash, and what they have asked since.
  interface Reading {
    readonly process: Process
    readonly urls: ReadonlyArray<string>
    readonly answer: () => void
  }
  const recovering = new Map<Process, { readonly isLast: boolean; readonly readings: Array<Reading> }>()
  /** One is back at once, and moves realms before the others are back: most of all before who was the last to catch up. */
  const crash = (first: Replica, last: Process | undefined): void => {
    crashDue = undefined
    history.note(`PostgreSQL crashes: what is UNLOGGED is lost; ${first.process.name} is back first`)
    quietUntil = simulation.now + 1_000
    postgres.crash()
    world.favourite = first.identity.place
    simulation.after(1_000, () => world.favourite = plan.opposed ? 0 : undefined)
    for (const replica of world.replicas) {
      if (replica === first) {
        cut(replica, 20)
        continue
      }
      // Its session comes back when a realm has moved that it has asked for; the last one's, when any has.
      const { link, process } = replica
      recovering.set(process, { isLast: process === last, readings: [] })
      link.holdSession()
      cut(replica, process === last ? 1_300 : simulation.between(200, 800))
      simulation.after(1_300, () => {
        link.letSession()
        recovered(process)
      })
    }
  }
  /** What a replica has asked since the crash is answered just after it has caught up. */
  const recovered = (process: Process): void => {
    const { readings } = recovering.get(process) ?? { readings: [] }
    recovering.delete(process)
    for (const { answer } of readings) simulation.after(simulation.between(0, 20), answer)
  }
  for (let index = 0; index < plan.collections; index++) {
    simulation.after(simulation.between(100, faultsEnd), () => {
      simulation.befell("collections")
      simulation.pick(world.replicas).handle(collecting, () => {})
    })
  }
  const withLock = (): void => {
    if (simulation.now > faultsEnd) return
    for (const connection of Array.from(world.idle.writes)) {
      if (!simulation.strikes("write locks lost", plan.lostLocks)) continue
      history.note("a write lock's session is terminated")
      connection.end()
    }
    simulation.after(50, withLock)
  }
  if (plan.lostLocks > 0) withLock()
  const elsewhere = (): void => {
    if (simulation.now > quietUntil) postgres.writeElsewhere(Math.trunc(simulation.random() * 100))
    if (simulation.now < faultsEnd) simulation.after(simulation.random() * 20, elsewhere)
  }
  if (plan.crashes > 0) elsewhere()

  const soonOver = () => simulation.now > faultsEnd - 1_000
  const replicaOf = (process: Process) => world.replicas.find((candidate) => candidate.process === process)
  const held = new Set<{ readonly owner: Process; readonly commit: () => void }>()
  const isSomebodyForgotten = () => {
    const members = Array.from(postgres.committed.get("replicas")?.values() ?? [], (row) => (row as Member).replicaId)
    return world.replicas.some(({ identity, isServing }) => isServing && !members.includes(identity.replicaId))
  }
  /** A commit falls between what a replica has just read and the reply, which is long on its way. */
  const overtake = (replica: Replica, isMember: boolean) => {
    simulation.befell("catch-ups overtaken by a commit")
    // A publisher waits for a member, which must hear nothing else for longer than its lease. For one that is no member
    // nobody waits: it comes back soon, before its readers have asked PostgreSQL.
    replica.link.replyStall = isMember ? simulation.between(100, 400) : simulation.between(10, 80)
    if (isMember) simulation.after(3, () => blackHole(replica, simulation.between(600, 1_500)))
  }
  postgres.onCatchUp = (process, isMember) => {
    if (crashDue?.aim === "cursor") {
      // Its cursor is far ahead of what is flushed, unless somebody commits before it has the reply.
      postgres.writeElsewhere(1_000)
      crashDue.cursor = postgres.xmin
      crashDue.by = process
    }
    const replica = replicaOf(process)
    // A commit that waits for somebody's catch-up waits for one that was forgotten meanwhile, if there is one.
    if (plan.late && (replica?.isServing === false || (isMember && isSomebodyForgotten()))) return
    if (plan.late && replica !== undefined && !soonOver() && Array.from(held).some(({ owner }) => owner !== process)) {
      overtake(replica, isMember)
    }
    for (const each of held) {
      if (each.owner !== process && held.delete(each)) simulation.after(simulation.random() * 2, each.commit)
    }
  }
  postgres.onCaughtUp = (process) => {
    recovered(process)
    if (crashDue?.by !== process || postgres.lastLogged >= (crashDue.cursor ?? 0)) return
    simulation.befell("crashes ahead of what is flushed")
    crash(simulation.pick(world.replicas.filter((replica) => replica.process !== process)), process)
  }
  // Replies to replicas that read realms, which wait for one of these to move.
  const readings = new Set<Reading>()
  postgres.holdReading = (process, urls, answer) => {
    const recovery = recovering.get(process)
    const reading: Reading = { process, urls, answer }
    if (recovery !== undefined) {
      simulation.befell("readings held over a crash")
      recovery.readings.push(reading)
      world.hotTarget = publishedUrls.find((url) => urls.includes(url)) ?? world.hotTarget
      return
    }
    if (soonOver() || !simulation.chance(plan.overtakenReadings)) return answer()
    readings.add(reading)
    simulation.after(300, () => {
      if (readings.delete(reading)) answer()
    })
  }
  /** What was read just before a commit is heard of after it. */
  const overtakeReadings = (owner: Process, moved: ReadonlyArray<string>): void => {
    for (const reading of readings) {
      if (reading.process === owner || !reading.urls.some((url) => moved.includes(url))) continue
      simulation.befell("readings overtaken by a commit")
      readings.delete(reading)
      simulation.after(simulation.between(5, 60), reading.answer)
    }
    for (const { link, process } of world.replicas) {
      const recovery = recovering.get(process)
      if (recovery === undefined || process === owner) continue
      const isOvertaken = recovery.readings.some(({ urls }) => urls.some((url) => moved.includes(url)))
      // Later than the commit is told of: it must be found by the catch-up, or not at all.
      if (recovery.isLast || isOvertaken) simulation.after(simulation.between(50, 200), () => link.letSession())
    }
  }
  // Computations of the source that last until somebody writes what they have read.
  const waiting = new Set<Work>()
  world.onWork = (work) => {
    if (soonOver() || !simulation.chance(crashDue?.aim === "work" ? 1 : plan.outlivedWork)) return
    work.hold()
    waiting.add(work)
    world.wanted = work.path
    simulation.after(800, () => {
      if (waiting.delete(work)) work.end()
    })
  }
  // Statements that forget a member, which wait until it is back after all.
  const forgetting = new Map<string, () => void>()
  postgres.holdForgetting = (bootIds, forget) => {
    const bootId = simulation.pick(bootIds)
    if (soonOver() || forgetting.has(bootId) || !simulation.chance(plan.heldForgetting)) return forget()
    const letGo = () => {
      if (forgetting.delete(bootId)) forget()
    }
    forgetting.set(bootId, letGo)
    simulation.after(700, letGo)
  }
  postgres.onRenewal = (bootId) => {
    const forget = forgetting.get(bootId)
    if (forget === undefined) return
    simulation.befell("renewals of who is being forgotten")
    simulation.after(simulation.between(0, 10), forget)
  }
  let isCollecting = false
  world.onOutlived = (work) => {
    const replica = replicaOf(work.process)
    const wasHeld = waiting.delete(work)
    if (soonOver() || replica === undefined) return wasHeld ? work.end() : undefined
    if (crashDue?.aim === "work") {
      crashDue = undefined
      simulation.befell("work outlived by a crash")
      work.hold()
      simulation.after(simulation.between(5, 40), () => {
        crash(replica, undefined)
        simulation.after(simulation.between(40, 120), () => work.end())
      })
    } else if (!isCollecting && simulation.strikes("work outlived by a collection", wasHeld ? plan.outlivedWork : 0)) {
      isCollecting = true
      work.hold()
      const end = () => {
        isCollecting = false
        work.end()
      }
      const collector = simulation.pick(world.replicas.filter((each) => each !== replica))
      collector.handle(collecting, () => simulation.after(simulation.random() * 10, end))
      simulation.after(2_500, end)
    } else if (wasHeld) work.end()
  }
  // Copies whose publisher has lost its locks; commits that wait until one of these is published.
  const unlocked = new Map<Process, Array<() => void>>()
  const locked = (copier: Process): void => {
    const commits = unlocked.get(copier) ?? []
    unlocked.delete(copier)
    for (const commit of commits) simulation.after(5, commit)
  }
  world.onCopying = (process) => {
    if (soonOver() || unlocked.size > 0 || !simulation.strikes("copies whose lock was lost", 2 * plan.lostLocks)) return
    for (const connection of Array.from(world.idle.writes)) if (connection.isOf(process)) connection.end()
    unlocked.set(process, [])
    const writer = simulation.pick(world.replicas.filter((replica) => replica.process !== process))
    const text = `while ${process.name} copies at ${simulation.now.toFixed(0)}`
    simulation.after(
      simulation.between(0, 100),
      () => writer.handle(puttingBoth(`a.ts ${text}`, `b.ts ${text}`, false), () => {})
    )
    simulation.after(900, () => locked(process))
  }
  world.disk.isCopySlow = (process) => unlocked.has(process)
  postgres.holdCommit = (owner, commit) => {
    if (unlocked.has(owner)) {
      commit()
      return locked(owner)
    }
    for (const commits of unlocked.values()) {
      if (simulation.chance(0.5)) {
        commits.push(commit)
        return
      }
    }
    if (soonOver() || !simulation.strikes("commits held", plan.heldCommits)) return commit()
    const each = { owner, commit }
    held.add(each)
    simulation.after(400, () => {
      if (held.delete(each)) commit()
    })
  }
  world.onCommit = ({ buried, owner, realms }) => {
    const path = buried.find((each) => each.path === "a.ts" || each.path === "b.ts")?.path
    if (crashDue?.aim === "work" && path !== undefined) {
      simulation.after(10, () => askForPath(world, simulation.pick(world.replicas), path))
    }
    overtakeReadings(owner, realms.map(({ realmUrl }) => realmUrl))
    if (soonOver()) return
    const replica = replicaOf(owner)
    if (replica !== undefined && simulation.strikes("committers struck", plan.struckCommits)) {
      tell(replica, "is struck after its commit")
      const length = simulation.random() * 1_000
      const strike = simulation.pick([pause, kill, cut, blackHole])
      simulation.after(simulation.random() * 10, () => strike(replica, length))
    }
    for (const other of world.replicas) {
      const age = simulation.now - (postgres.caughtUp.get(other.process) ?? 0)
      if (plan.opposed && owner !== world.replicas[0]?.process) continue
      const renewed = age < (plan.opposed ? 4 : 25)
      if (other === replica) continue
      const likely = plan.struckOthers * (renewed ? 1 : plan.opposed ? 0.05 : 0.3)
      if (!simulation.strikes("others struck by a commit", likely)) continue
      const length = plan.opposed ? 1_500 : simulation.random() * 1_500
      tell(other, `becomes unreachable at that moment for ${length.toFixed(0)} ms`)
      // Who is cut off in the midst of a renewal may still be sent its reply.
      const strike = plan.late ? blackHole : simulation.pick([cut, blackHole])
      if (plan.wallSteps > 0) stepWallClock(other, simulation.pick([-3_000, -500]))
      // What the server has sent already may still arrive.
      simulation.after(simulation.pick(plan.opposed ? [0, 0.5] : [0, 1, 20]), () => strike(other, length))
    }
  }
  world.disk.onCopied = (process) => {
    const replica = replicaOf(process)
    if (soonOver() || replica === undefined || replica.process.state !== "up") return
    if (!simulation.strikes("copies swept from a frozen publisher", plan.struckCopies)) return
    pause(replica, 1_700)
    const sweeper = simulation.pick(world.replicas.filter((candidate) => candidate !== replica))
    simulation.after(1_250, () => sweeper.handle(collecting, () => {}))
  }
  simulation.after(faultsEnd, () => {
    plan.weather.failing = 0
    plan.weather.unanswered = 0
    plan.weather.unansweredCommits = 0
    plan.weather.stalling = 0
    plan.weather.stallingCatchUps = 0
    world.disk.failing = 0
    plan.disconnects = 0
    plan.mishaps.lost = 0
    plan.mishaps.delayed = 0
    plan.mishaps.deaf = 0
    plan.mishaps.duplicated = 0
    plan.mishaps.reordered = 0
    plan.mishaps.late = 0
  })
}
