/**
 * `npm run bench`: measures Lockstep beside its peers and prints both, in one run. See docs/BENCHMARKS.md.
 *
 *     npm run bench -- --rows l1-hit,cold --quick --json
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Option } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import { mkdirSync } from "node:fs"
import * as path from "node:path"
import { Children } from "./harness/Children.ts"
import { load, machine } from "./harness/machine.ts"
import { asJson, asText, describeMachine, type Measured } from "./harness/report.ts"
import { full, quick, Workbench } from "./harness/Workbench.ts"
import { rows } from "./rows.ts"

const names = rows.map((row) => row.name).join(", ")

const flags = {
  rows: Flag.String("rows").pipe(
    Flag.withMetavar("NAME,..."),
    Flag.withDescription(`only these of ${names}`),
    Flag.filterMap(rowsNamed, () => `names among ${names}`),
    Flag.withDefault(rows)
  ),
  quick: Flag.Boolean("quick").pipe(Flag.withDescription("fewer and shorter rounds"), Flag.withDefault(false)),
  json: Flag.Boolean("json").pipe(Flag.withDescription("print JSON for machines"), Flag.withDefault(false)),
  profile: Flag.String("profile").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("keep CPU profiles of replicas there and print the hottest frames; figures are lower then"),
    Flag.optional
  )
}

function rowsNamed(list: string) {
  const wanted = list.split(",").map((name) => name.trim())
  const found = rows.filter((row) => wanted.includes(row.name))
  return found.length === wanted.length ? Option.some(found) : Option.none()
}

const bench = Command.make("bench", flags, ({ json, profile, quick: short, rows }) =>
  Effect.gen(function*() {
    const before = load()
    const { postgres } = yield* Workbench
    const here = { ...machine(), postgres }
    if (!json) yield* Console.log(`${describeMachine(here)}; load average ${before}\n`)
    const measured = new Array<Measured>()
    for (const row of rows) {
      yield* Console.error(`measuring ${row.name} ...`)
      const done = { row, lines: yield* Effect.scoped(row.run) }
      measured.push(done)
      if (!json) yield* Console.log(`${asText(done)}\n`)
    }
    const after = load()
    yield* Console.log(json ? asJson(here, { before, after }, measured) : `load average at the end ${after}`)
  }).pipe(
    Effect.provide(Layer.mergeAll(
      Workbench.layer(short ? quick : full, Option.getOrUndefined(Option.map(profile, prepared))),
      Children.layer
    ))
  )).pipe(Command.withDescription("Measures Lockstep beside its peers."))

const prepared = (directory: string) => {
  const absolute = path.resolve(directory)
  mkdirSync(absolute, { recursive: true })
  return absolute
}

NodeRuntime.runMain(
  Command.run(bench, { version: "0" }).pipe(
    Effect.provide(Layer.merge(NodeServices.layer, CliConfig.layer({ builtIns: [GlobalFlag.Help] })))
  )
)
