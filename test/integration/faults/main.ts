import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Figures, outcomes } from "./figures.ts"

const usage = `npm run chaos -- [options]
  --repeat N     how often each fault happens, one after the other (3)
  --only TEXT    only tests whose name or file contains the text`

const { values } = parseArgs({
  options: { repeat: { type: "string" }, only: { type: "string" }, help: { type: "boolean" } }
})

const root = fileURLToPath(new URL("../../../", import.meta.url))

/** Runs the fault suite, all of it, and gives its exit code. */
const run = (figures: string) =>
  new Promise<number>((resolve, reject) => {
    const only = values.only
    const asFile = only !== undefined && /^[a-z]+$/.test(only)
    const child = spawn(
      process.execPath,
      [
        join(root, "node_modules/vitest/vitest.mjs"),
        "run",
        "--project=integration",
        `test/integration/faults/${asFile ? only : ""}`,
        ...only === undefined || asFile ? [] : [`--testNamePattern=${only}`]
      ],
      {
        cwd: root,
        stdio: "inherit",
        env: { ...process.env, LOCKSTEP_CHAOS: values.repeat ?? "3", LOCKSTEP_CHAOS_FIGURES: figures }
      }
    )
    child.once("error", reject)
    child.once("close", (code) => resolve(code ?? 1))
  })

const rowOf = (figures: Figures) => [
  `${figures.fault}${figures.times > 1 ? ` (${figures.times} times)` : ""}`,
  String(figures.reads),
  String(figures.violations),
  figures.unavailableAfter < 0 ? "never" : `${Math.round(figures.unavailableAfter)} ms`,
  `${Math.round(figures.recoveredAfter)} ms`,
  outcomes(figures.lostReads),
  `${figures.writes}`,
  outcomes(figures.lostWrites)
]

const tableOf = (all: ReadonlyArray<Figures>) =>
  [
    [
      "Fault",
      "Reads",
      "Stale or wrong",
      "Unavailable after",
      "Well again after",
      "Reads lost",
      "Writes",
      "Writes lost"
    ],
    ["---", "---:", "---:", "---:", "---:", "---", "---:", "---"],
    ...all.map(rowOf)
  ].map((row) => `| ${row.join(" | ")} |`).join("\n")

if (values.help === true) console.log(usage)
else {
  const directory = await mkdtemp(join(tmpdir(), "lockstep-chaos-"))
  try {
    const file = join(directory, "figures.jsonl")
    process.exitCode = await run(file)
    const lines = (await readFile(file, "utf8").catch(() => "")).split("\n").filter((line) => line !== "")
    const all = lines.map((line) => JSON.parse(line) as Figures)
    console.log(tableOf(all))
    const violations = all.reduce((sum, each) => sum + each.violations, 0)
    const reads = all.reduce((sum, each) => sum + each.reads, 0)
    console.log(`\n${all.length} faults under load, ${reads} reads, ${violations} violations`)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
