/**
 * `npm run bench`: measures Lockstep beside its peers and prints both, in one run. See docs/BENCHMARKS.md.
 *
 *     npm run bench -- --rows l1-hit,cold --quick --json
 *     npm run bench -- --check
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Option } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import { mkdirSync } from "node:fs"
import * as path from "node:path"
import { asTable, compare, save } from "./harness/baseline.ts"
import { BenchFailed } from "./harness/BenchFailed.ts"
import { Children } from "./harness/Children.ts"
import { load, machine } from "./harness/machine.ts"
import { asJson, asText, describeMachine, type Measured } from "./harness/report.ts"
import { full, quick, type Scale, Workbench } from "./harness/Workbench.ts"
import type { Row } from "./Row.ts"
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
  rounds: Flag.Int("rounds").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("rounds of the rows that take long, whatever the scale says"),
    Flag.filter((rounds) => rounds > 0, () => "a number above 0"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("print JSON for machines"), Flag.withDefault(false)),
  check: Flag.Boolean("check").pipe(
    Flag.withDescription("compare with the baseline; exit 1 if anything was lost"),
    Flag.withDefault(false)
  ),
  margin: Flag.Int("margin").pipe(
    Flag.withMetavar("PERCENT"),
    Flag.withDescription("what --check lets a ratio lose (25)"),
    Flag.filter((percent) => percent >= 0 && percent < 100, () => "a number from 0 to 99"),
    Flag.withDefault(25)
  ),
  save: Flag.Boolean("save").pipe(
    Flag.withDescription("make these rows' figures the baseline"),
    Flag.withDefault(false)
  ),
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

const measure = Effect.fnUntraced(function*(row: Row) {
  yield* Console.error(`measuring ${row.name} ...`)
  return { row, lines: yield* Effect.scoped(row.run) }
})

/** A row that lost is measured once more, since a neighbour may have been at work: only what is lost twice is lost. */
const check = Effect.fnUntraced(function*(
  scale: "full" | "quick",
  measured: ReadonlyArray<Measured>,
  margin: number
) {
  const comparisons = yield* Effect.forEach(
    measured,
    Effect.fnUntraced(function*(first) {
      const compared = compare(scale, [first], margin)
      return compared.some(({ lost }) => lost) ? compare(scale, [yield* measure(first.row)], margin) : compared
    })
  )
  const all = comparisons.flat()
  yield* Console.error(asTable(all))
  const lost = all.filter((each) => each.lost).length
  if (all.length === 0) return yield* new BenchFailed({ detail: "the baseline has none of these rows: see --save" })
  if (lost > 0) return yield* new BenchFailed({ detail: `${lost} of ${all.length} figures were lost, twice in a row` })
})

const bench = Command.make(
  "bench",
  flags,
  ({ check: checking, json, margin, profile, quick: short, rounds, rows, save: saving }) =>
    Effect.gen(function*() {
      const before = load()
      const { postgres } = yield* Workbench
      const here = { ...machine(), postgres }
      if (!json) yield* Console.log(`${describeMachine(here)}; load average ${before}\n`)
      const measured = new Array<Measured>()
      for (const row of rows) {
        const done = yield* measure(row)
        measured.push(done)
        if (!json) yield* Console.log(`${asText(done)}\n`)
      }
      const after = load()
      yield* Console.log(json ? asJson(here, { before, after }, measured) : `load average at the end ${after}`)
      const scale = short ? "quick" : "full"
      if (checking) yield* check(scale, measured, margin / 100)
      if (saving) save(scale, measured)
    }).pipe(
      Effect.provide(Layer.mergeAll(
        Workbench.layer(withRounds(short ? quick : full, rounds), Option.getOrUndefined(Option.map(profile, prepared))),
        Children.layer
      ))
    )
).pipe(Command.withDescription("Measures Lockstep beside its peers."))

const withRounds = (scale: Scale, rounds: Option.Option<number>): Scale =>
  Option.match(rounds, {
    onNone: () => scale,
    onSome: (count) => ({ ...scale, longRounds: count, slowRounds: count })
  })

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
