import { Effect, type Scope } from "effect"
import { fileURLToPath } from "node:url"
import { BenchFailed } from "./BenchFailed.ts"
import { Children, type Program } from "./Children.ts"
import { Workbench } from "./Workbench.ts"

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

/** The counters of `/_status` that rows look at. */
export interface Counts {
  readonly transpiles: number
  readonly l1Hits: number
  readonly l2Hits: number
  readonly joined: number
  readonly definitionsComputed: number
}

export interface Replica extends Program {
  readonly port: number
  readonly counts: Effect.Effect<Counts, BenchFailed>
}

export interface ReplicaOptions {
  readonly databaseUrl: string
  /** Shared by the replicas of a fleet. */
  readonly dataDir: string
  /** The row's own source realms, instead of the one of effect's modules. */
  readonly realmsDir?: string
  /** Whether it takes reindex jobs, which would disturb what else is measured. */
  readonly worker?: boolean
  /** What makes JavaScript; Babel by default. */
  readonly transpiler?: "babel" | "oxc"
  /** Whether it follows edits on disk, which it does by default. */
  readonly watch?: boolean
  /** Whether it transpiles after a publish what was in use before, beside what is measured; not by default. */
  readonly warmUp?: boolean
  /** Keep a CPU profile of its whole life, if the run asks for profiles. */
  readonly profiled?: boolean
}

/** The one source realm, which every replica that `startReplica` starts serves. */
export const sourceRealm = "http://localhost:4201/effect/"

/** Path of a module of that realm, on any replica. */
export const pathOf = (module: string) => new URL(module, sourceRealm).pathname

/** A `lockstep serve` process with one transpile thread, until the scope closes. */
export const startReplica = Effect.fnUntraced(function*(
  {
    databaseUrl,
    dataDir,
    profiled = false,
    realmsDir: own,
    transpiler = "babel",
    warmUp = false,
    watch = true,
    worker = false
  }: ReplicaOptions
): Effect.fn.Return<Replica, BenchFailed, Children | Workbench | Scope.Scope> {
  const children = yield* Children
  const { profileDir, realmsDir } = yield* Workbench
  const program = yield* children.program([
    ...profiled && profileDir !== undefined ? ["--cpu-prof", "--cpu-prof-dir", profileDir] : [],
    main,
    "serve",
    own ?? realmsDir,
    "--port",
    "0",
    "--workers",
    "1",
    "--data-dir",
    dataDir,
    "--transpiler",
    transpiler,
    ...warmUp ? [] : ["--no-warm-up"],
    ...watch ? [] : ["--no-watch"],
    ...worker ? [] : ["--no-worker"]
  ], { DATABASE_URL: databaseUrl })
  const counts = Effect.tryPromise({
    try: async () => (await fetch(`${program.url}/_status`, { signal: AbortSignal.timeout(10_000) })).json(),
    catch: (cause) => new BenchFailed({ detail: `${program.url}/_status: ${String(cause)}` })
  })
  return { ...program, port: Number(new URL(program.url).port), counts: Effect.map(counts, (json) => json as Counts) }
})
