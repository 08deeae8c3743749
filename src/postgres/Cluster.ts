import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { attempt, failure } from "./errors.ts"
import { runProgram } from "./runProgram.ts"
import { readIfThere, type ServerHome, writePrivateFile } from "./ServerHome.ts"

/** PostgreSQL's settings by name, as in postgresql.conf. */
export type Settings = Readonly<Record<string, string>>

const initdbDeadlineSeconds = 120

const defaults: Settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  shared_buffers: "64MB",
  // One machine, no standby: commits are durable (I4), but nothing is logged for replication.
  wal_level: "minimal",
  max_wal_senders: "0",
  max_logical_replication_workers: "0",
  // Reads come from memory; PostgreSQL 18's helper processes for reading would only take some.
  io_method: "sync",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off"
}

/** Makes the cluster unless it exists. It appears complete or not at all, whatever ends this half-way. */
export const createCluster = Effect.fnUntraced(function*(home: ServerHome, binaries: string, settings: Settings) {
  if ((yield* readIfThere(Path.join(home.cluster, "PG_VERSION"))) !== undefined) return
  yield* removeUnfinished(home)
  const stage = Path.join(home.path, `unfinished-${randomBytes(8).toString("hex")}`)
  yield* attempt(`create ${stage}`, async () => {
    await Fs.mkdir(stage, { mode: 0o700 })
    if (home.account !== undefined) await Fs.lchown(stage, home.account.uid, home.account.gid)
  })
  // Hexadecimal, so that the connection URL needs no escapes. The system's own randomness: this one guards something.
  const password = randomBytes(24).toString("hex")
  const passwordForInitdb = Path.join(stage, "password")
  yield* writePrivateFile(passwordForInitdb, password, home.account)
  const result = yield* runProgram(Path.join(binaries, "bin/initdb"), [
    `--pgdata=${Path.join(stage, "cluster")}`,
    "--username=postgres",
    `--pwfile=${passwordForInitdb}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--no-locale",
    ...settings["fsync"] === "off" ? ["--no-sync"] : []
  ], { account: home.account, deadlineSeconds: initdbDeadlineSeconds })
  if (result.code !== 0) {
    return yield* failure(`initdb failed: ${result.output}${nameless(result.output)}`)
  }
  // The password first: a cluster without one would be shut for ever.
  yield* writePrivateFile(home.password, password, home.keeper)
  yield* attempt(`move the new cluster to ${home.cluster}`, async () => {
    await Fs.rename(Path.join(stage, "cluster"), home.cluster)
    const directory = await Fs.open(home.path)
    await directory.sync().finally(() => directory.close())
  })
  yield* removeUnfinished(home)
})

/** Writes the cluster's postgresql.conf, which is this program's and not the user's to edit. */
export const writeSettings = (home: ServerHome, port: number, settings: Settings) => {
  const lines = Object.entries({ ...defaults, port: String(port), ...settings })
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
  return writePrivateFile(Path.join(home.cluster, "postgresql.conf"), lines.join(""), home.account)
}

/** The URL of the server at this port. */
export const connectionUrl = Effect.fnUntraced(function*(home: ServerHome, port: number) {
  const password = yield* readIfThere(home.password)
  // Its form is checked so that nobody can have root publish another file's content by a link in this one's place.
  if (password === undefined || !/^[0-9a-f]{48}$/.test(password)) {
    return yield* failure(`${home.password} is lost, and with it the way into the database`)
  }
  return `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
})

const nameless = (output: string) =>
  output.includes("could not look up effective user ID")
    ? " (initdb needs an account with a name in /etc/passwd; or set DATABASE_URL)"
    : ""

// An initdb whose starter was killed may still be writing here: what it adds meanwhile goes with the next sweep.
const removeUnfinished = (home: ServerHome) =>
  attempt(`clear ${home.path}`, async () => {
    const names = (await Fs.readdir(home.path)).filter((name) => name.startsWith("unfinished-"))
    await Promise.allSettled(names.map((name) => Fs.rm(Path.join(home.path, name), { recursive: true, force: true })))
  })
