import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const main = fileURLToPath(new URL("programs/main.ts", import.meta.url))

// Two processes of one thread each: Node links modules by name only with a flag, which must not be everybody's.
const check = async (runs: number, seed: number) => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--no-warnings", "--experimental-vm-modules", main, String(runs), String(seed)],
    { timeout: 590_000 }
  )
  const seen: Record<"modules" | "compared" | "refused" | "broken" | "ambiguous", number> = JSON.parse(stdout)
  return seen
}

it("10,000 random programs are analysed without a crash, and named as Node names them", async () => {
  const halves = await Promise.all([check(5_000, 1), check(5_000, 2)])
  for (const { ambiguous, broken, compared, modules, refused } of halves) {
    assert.isAbove(modules, 10_000)
    // The programs are worth something only while most of them link, and some do not.
    assert.isAbove(compared, modules / 2)
    assert.isAbove(refused, 100)
    assert.isAbove(broken, 100)
    assert.isBelow(ambiguous, compared / 500)
  }
}, 600_000)
