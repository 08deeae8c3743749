/**
 * Checks random programs against Node's own linker: `node --experimental-vm-modules main.ts RUNS SEED [REPLAY]`.
 * Prints what was seen as JSON; a program that fails is shrunk and printed with the token that replays it.
 */
import { Arbitrary, Effect } from "effect"
import { checkProgram, seen } from "./checkProgram.ts"
import { programs, render } from "./Program.ts"

const [runs = "10000", seed = "1", replay] = process.argv.slice(2)

const result = await Effect.runPromise(Arbitrary.checkEffect(
  programs,
  (program) => Effect.map(Effect.promise(() => checkProgram(program)), (wrong) => wrong === undefined),
  { runs: Number(runs), seed: Number(seed), size: 10, maxShrinks: 2_000, ...(replay !== undefined && { replay }) }
))
if (result._tag !== "Passed") {
  console.error(Arbitrary.formatCheckFailure(result))
  if (result._tag === "Falsified") {
    console.error(await checkProgram(result.shrunkInput) ?? "")
    for (const { path, text } of render(result.shrunkInput)) console.error(`// ${path}\n${text}`)
  }
  process.exitCode = 1
}
console.log(JSON.stringify(seen))
