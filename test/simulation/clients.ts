import { Effect } from "effect"
import { SourceCache } from "../../src/cache/SourceCache.ts"
import { TranspiledModuleCache } from "../../src/cache/TranspiledModuleCache.ts"
import { requestedRealm } from "../../src/http/RequestedRealm.ts"
import { Invalidation } from "../../src/lifecycle/Invalidation.ts"
import { collect } from "../../src/lifecycle/Collector.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { unpublish } from "../../src/lifecycle/retire.ts"
import { deleteFile, editAtomically, putFile } from "../../src/lifecycle/write.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type Answer, type Question, versionAge } from "./History.ts"
import { FencedCache, type Replica } from "./Replica.ts"
import { everywhere as allOfThem } from "./Truth.ts"
import { publicUrl, publishedUrls, sourceUrl, type World } from "./World.ts"

/** A GET, from its realm to its bytes, as the HTTP handler does it. */
const get = Effect.fnUntraced(function*({ flow, name, realmUrl, token, version }: Question) {
  const path = version === undefined ? name : `@${version}/${name}`
  const { immutable, path: within, view } = yield* requestedRealm({
    origin: new URL(publicUrl).origin,
    rawPath: new URL(realmUrl).pathname + path,
    publicUrl,
    minGeneration: token === 0 ? undefined : String(token),
    trustPages: false
  })
  const shown = { generation: view.row.generation, unconfirmed: view.unconfirmed === true }
  if (flow === "fenced" && !immutable) {
    const fenced = yield* FencedCache
    const { value } = yield* fenced.get({ view, path: within, contentKey: "" })
    return { _tag: "File", text: value, ...shown } satisfies Answer
  }
  const sources = yield* SourceCache
  const modules = yield* TranspiledModuleCache
  const { value } = yield* modules.get(view, yield* sources.read(view, within))
  return { _tag: "File", text: Buffer.from(value.body).toString(), ...shown } satisfies Answer
})

const failed = (error: string | { readonly _tag: string }): Answer => {
  if (typeof error === "string") return { _tag: "Failed", reason: error }
  if (error._tag === "RealmNotFound") return { _tag: "NoRealm" }
  return error._tag === "FileNotFound" ? { _tag: "NoFile" } : { _tag: "Failed", reason: error._tag }
}

/** Asks a replica over a network that is quick but not instant; `ended` is called once, unless nobody answers. */
export const ask = (world: World, replica: Replica, question: Question, ended: (answer: Answer) => void): void => {
  const { plan, simulation } = world
  const answered = world.history.asked(question)
  simulation.after(simulation.random() * 2, () => {
    const request = replica.handle(get(question), (result) => {
      simulation.after(simulation.random() * 2, () => {
        const answer = result._tag === "Success" ? result.success : failed(result.failure)
        if (disconnected) return
        answered(answer)
        ended(answer)
      })
    })
    let disconnected = false
    if (request === undefined) {
      const refused: Answer = { _tag: "Failed", reason: "refused" }
      answered(refused)
      return ended(refused)
    }
    if (simulation.strikes("requests given up", plan.disconnects)) {
      simulation.after(simulation.random() * 40, () => {
        disconnected = true
        answered(undefined)
        request.interrupt()
        ended({ _tag: "Failed", reason: "disconnected" })
      })
    }
  })
}

/** Asks random replicas for random files until `until`. */
export const startReader = (world: World, until: number): void => {
  const { simulation } = world
  // The newest generation of each realm that this reader knows of.
  const known = new Map<string, number>()
  const next = (): void => {
    if (simulation.now > until) return
    const realmUrl = simulation.chance(0.5) ? world.hot : simulation.pick([sourceUrl, ...publishedUrls])
    const flow = simulation.pick(["module", "fenced"] as const)
    const replica = simulation.pick(world.replicas)
    const newest = known.get(realmUrl) ?? 0
    const isVersion = newest > 0 && realmUrl !== sourceUrl && simulation.chance(0.05)
    const question: Question = {
      place: replica.identity.place,
      process: replica.process.name,
      truth: world.truth(realmUrl),
      realmUrl,
      name: simulation.pick(flow === "fenced" || isVersion ? ["a.ts", "b.ts"] : ["a.ts", "b.ts", "c"]),
      flow,
      version: isVersion ? newest : undefined,
      token: newest > 0 && simulation.chance(0.1) && !isVersion ? newest : 0
    }
    let waiting = true
    const goOn = () => {
      if (!waiting) return
      waiting = false
      simulation.after(simulation.random() * 70, next)
    }
    ask(world, replica, question, (answer) => {
      if (answer._tag === "File" && question.version === undefined) {
        known.set(realmUrl, Math.max(answer.generation, known.get(realmUrl) ?? 0))
      }
      goOn()
    })
    // A reader that is kept waiting asks elsewhere meanwhile.
    simulation.after(300, goOn)
  }
  simulation.after(simulation.random() * 50, next)
}

/**
 * Whoever was told that a change is everywhere looks at once, and at the replica that said so otherwise; who takes a realm
 * down looks before.
 */
const look = (world: World, replicas: ReadonlyArray<Replica>, realmUrl: RealmUrl): void => {
  for (const replica of replicas) {
    for (const flow of ["module", "fenced"] as const) {
      ask(world, replica, {
        place: replica.identity.place,
        process: replica.process.name,
        truth: world.truth(realmUrl),
        realmUrl,
        name: world.simulation.pick(flow === "fenced" ? ["a.ts", "b.ts"] : ["a.ts", "c"]),
        flow,
        version: undefined,
        token: 0
      }, () => {})
    }
  }
}

/** Has a replica compute a file of the source, if nobody has since it was changed. */
export const askForPath = (world: World, replica: Replica, path: string): void => {
  const { place } = replica.identity
  const truth = world.truth(sourceUrl)
  ask(
    world,
    replica,
    {
      place,
      process: replica.process.name,
      truth,
      realmUrl: sourceUrl,
      name: path,
      flow: "fenced",
      version: undefined,
      token: 0
    },
    () => {}
  )
}

/** Changes things on random replicas until `until`. */
export const startWriter = (world: World, name: string, until: number): void => {
  const { history, simulation } = world
  let version = 0
  const next = (): void => {
    if (simulation.now > until) return
    const favourite = simulation.chance(0.7) ? world.favourite : undefined
    const replica = world.replicas[favourite ?? -1] ?? simulation.pick(world.replicas)
    const waitsForAll = simulation.chance(world.plan.late ? 0.9 : 0.5)
    const operation = simulation.random()
    let waiting = true
    const goOn = () => {
      if (!waiting) return
      waiting = false
      simulation.after(simulation.random() * simulation.pick([20, 300]), next)
    }
    const does = (
      realmUrl: RealmUrl,
      what: string,
      program: Parameters<typeof replica.handle<Told, { readonly _tag: string }>>[0]
    ) => {
      const seen = world.truth(realmUrl).states.length - 1
      history.note(`${name} has replica ${replica.identity.place} ${what}`)
      world.hot = realmUrl
      const begun = replica.handle(program, (result) =>
        simulation.after(simulation.random() * 2, () => {
          if (result._tag === "Success") {
            const { edits, everywhere, generation, replicas, voidsAll } = result.success
            // Where nothing fails and the network is quick, nobody has to be waited out.
            if (
              everywhere && replicas?.acked !== replicas?.live && world.plan.calm && world.plan.weather.latency < 15
            ) {
              history.violated("I6", `${what} was acknowledged by ${replicas?.acked} of ${replicas?.live} replicas`)
            }
            history.note(`${name}: replica ${replica.identity.place} did ${what}, ${realmUrl} ${generation}`)
            // Whoever takes the realm from a frozen writer finishes its batch: what counts is that it was done.
            const truth = world.truth(realmUrl)
            if (edits === undefined) history.acknowledged(realmUrl, generation, replica.process.name)
            else if (!Array.from(edits).every(([path, text]) => truth.had(path, text))) {
              history.violated("I4", `${replica.process.name} acknowledged ${what}, which was never done`)
            }
            truth.returned(
              simulation.now,
              generation,
              Array.from(edits?.keys() ?? []),
              everywhere ? allOfThem : replica.process.name,
              voidsAll === true ? seen : 0
            )
            look(world, everywhere ? world.replicas : [replica], realmUrl)
          } else {
            const reason = typeof result.failure === "string" ? result.failure : result.failure._tag
            history.note(`${name}: replica ${replica.identity.place} failed to ${what}: ${reason}`)
          }
          goOn()
        }))
      if (begun === undefined) goOn()
    }
    // What is unpublished is there to be answered from memory by mistake, where its end is heard late.
    if (operation < (world.plan.mishaps.late > 0 ? 0.25 : 0.4)) {
      const target = simulation.chance(0.5) ? world.hotTarget : simulation.pick(publishedUrls)
      world.hotTarget = target
      does(target, `publish ${target}`, publishing(target))
    } else if (operation < 0.49) {
      // One that is there, most of all the one that everybody has just looked at.
      const live = publishedUrls.filter((url) => world.truth(url).states.at(-1)?.files !== undefined)
      const target = live.includes(world.hotTarget)
        ? world.hotTarget
        : simulation.pick(live.length > 0 ? live : publishedUrls)
      look(world, world.replicas, target)
      does(target, `unpublish ${target}`, unpublishing(target))
    } else if (operation < 0.54) {
      // As an editor does that knows nothing of replicas, and then tells one.
      const path = simulation.pick(["a.ts", "b.ts"])
      if (simulation.chance(0.7)) world.disk.write(undefined, "source home", path, `${path} ${name} ${++version}`)
      does(sourceUrl, "invalidate the source", invalidating)
    } else if (operation < 0.58) {
      does(sourceUrl, "delete c.gts", deleting("c.gts", waitsForAll))
    } else if (operation < 0.68) {
      const text = `${name} ${++version}`
      does(sourceUrl, `put a.ts and b.ts (${text})`, puttingBoth(`a.ts ${text}`, `b.ts ${text}`, waitsForAll))
    } else {
      const path = (simulation.chance(0.7) ? world.wanted : undefined) ??
        simulation.pick(["a.ts", "a.ts", "b.ts", "c.ts", "c.gts"])
      world.wanted = undefined
      does(sourceUrl, `put ${path}`, putting(path, `${path} ${name} ${++version}`, waitsForAll))
    }
    simulation.after(4_000, goOn)
  }
  simulation.after(simulation.random() * 100, next)
}

type Edits = ReadonlyMap<string, string | undefined>

interface Told {
  readonly generation: number
  /** How many replicas live, and how many have said that they apply it. */
  readonly replicas?: { readonly live: number; readonly acked: number }
  /** Of an invalidation of everything. */
  readonly voidsAll?: boolean
  /** Of a write: its files, and what they say since; nothing where one was removed. */
  readonly edits?: Edits
  /** Whether nobody may answer from before it now; otherwise only the replica that made it may not. */
  readonly everywhere: boolean
}

const publishing = (publishedRealmUrl: typeof sourceUrl) =>
  Effect.map(
    publish({ sourceRealmUrl: sourceUrl, publishedRealmUrl }),
    ({ generation, replicas }): Told => ({ generation, replicas, everywhere: true })
  )

const unpublishing = (realmUrl: typeof sourceUrl) =>
  Effect.map(unpublish(realmUrl), ({ generation, replicas }): Told => ({ generation, replicas, everywhere: true }))

const invalidating = Effect.gen(function*() {
  const invalidation = yield* Invalidation
  const { generation } = yield* invalidation.invalidate(sourceUrl, "realm")
  return { generation, voidsAll: true, everywhere: false } satisfies Told
})

const putting = Effect.fnUntraced(function*(path: string, text: string, waitsForAll: boolean) {
  const { generation, replicas } = yield* putFile(sourceUrl, path, Buffer.from(text), waitsForAll ? "all" : "soon")
  return { generation, edits: new Map([[path, text]]), replicas, everywhere: waitsForAll } satisfies Told
})

/** Writes two files at once. */
export const puttingBoth = Effect.fnUntraced(function*(a: string, b: string, waitsForAll: boolean) {
  const edits = new Map([["a.ts", a], ["b.ts", b]])
  const operations = Array.from(edits, ([path, text]) => ({ op: "put" as const, path, bytes: Buffer.from(text) }))
  const { generation, replicas } = yield* editAtomically(sourceUrl, operations, waitsForAll ? "all" : "soon")
  return { generation, edits, replicas, everywhere: waitsForAll } satisfies Told
})

const deleting = Effect.fnUntraced(function*(path: string, waitsForAll: boolean) {
  const { generation, replicas } = yield* deleteFile(sourceUrl, path, waitsForAll ? "all" : "soon")
  return { generation, edits: new Map([[path, undefined]]), replicas, everywhere: waitsForAll } satisfies Told
})

/** Collects on one replica, with everything scaled down to the length of a run. */
export const collecting = collect({
  versions: 1,
  versionAge,
  copyAge: "1200 millis",
  tombstones: 0,
  settle: "900 millis",
  artifactAge: "1 day",
  encodingAge: "1 day",
  contentAge: "1 day"
})
