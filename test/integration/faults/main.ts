import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { runCommand } from "../../support/commandLine.ts"
import type { FaultTest } from "./catalogue.ts"
import { type Figures, outcomes } from "./figures.ts"
import { type Asked, askedOf, usage } from "./options.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))

/** Runs these tests, writes their figures and vitest's report into these files, and gives vitest's exit code. */
const run = ({ chosen, repeat }: Extract<Asked, { readonly _tag: "Run" }>, figures: string, report: string) =>
  new Promise<number>((resolve, reject) => {
    const files = new Set(chosen.map(({ file }) => file))
    const titles = chosen.map(({ title }) => title.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
    const child = spawn(
      process.execPath,
      [
        join(root, "node_modules/vitest/vitest.mjs"),
        "run",
        "--project=integration",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${report}`,
        // A test's full name ends with its title.
        `--testNamePattern= (?:${titles.join("|")})$`,
        ...Array.from(files, (file) => `test/integration/faults/${file}`)
      ],
      {
        cwd: root,
        stdio: "inherit",
        env: { ...process.env, LOCKSTEP_CHAOS: String(repeat), LOCKSTEP_CHAOS_FIGURES: figures }
      }
    )
    child.once("error", reject)
    child.once("close", (code) => resolve(code ?? 1))
  })

/** What is read of vitest's report. */
interface VitestReport {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{ readonly title: string; readonly status: string }>
  }>
}

/** The titles of the tests that were run to an end, good or bad. */
const titlesRun = async (report: string): Promise<ReadonlySet<string>> => {
  const text = await readFile(report, "utf8").catch(() => `{"testResults":[]}`)
  const { testResults } = JSON.parse(text) as VitestReport
  return new Set(
    testResults.flatMap(({ assertionResults }) => assertionResults)
      .filter(({ status }) => status === "passed" || status === "failed")
      .map(({ title }) => title)
  )
}

const nameOf = ({ fault, title }: FaultTest) => fault ?? title

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

await runCommand(askedOf, async (asked) => {
  if (asked._tag === "Help") return console.log(usage)
  const directory = await mkdtemp(join(tmpdir(), "lockstep-chaos-"))
  try {
    const file = join(directory, "figures.jsonl")
    const report = join(directory, "report.json")
    process.exitCode = await run(asked, file, report)
    const lines = (await readFile(file, "utf8").catch(() => "")).split("\n").filter((line) => line !== "")
    const all = lines.map((line) => JSON.parse(line) as Figures)
    if (all.length > 0) console.log(tableOf(all))
    const violations = all.reduce((sum, each) => sum + each.violations, 0)
    const reads = all.reduce((sum, each) => sum + each.reads, 0)
    console.log(`\n${all.length} faults under load, ${reads} reads, ${violations} violations`)
    const titles = await titlesRun(report)
    const notRun = asked.chosen.filter(({ title }) => !titles.has(title))
    console.log(`${asked.chosen.length - notRun.length} of ${asked.chosen.length} tests were run`)
    for (const each of notRun) console.error(`Not run: ${nameOf(each)}`)
    if (notRun.length < asked.chosen.length) return
    console.error("No fault was run: this proves nothing")
    process.exitCode = 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
