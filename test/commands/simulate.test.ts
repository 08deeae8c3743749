import { assert, describe, it } from "@effect/vitest"
import { hashOf, shortcomings } from "../simulation/completeness.ts"
import { mutants } from "../simulation/mutants.ts"
import { askedOf } from "../simulation/options.ts"
import { UsageError } from "../support/commandLine.ts"

const refused = (...args: ReadonlyArray<string>) => {
  try {
    askedOf(args)
  } catch (error) {
    assert.instanceOf(error, UsageError)
    assert.notInclude(error.message, "\n")
    return error.message
  }
  return assert.fail(`${args.join(" ")} was understood`)
}

describe("npm run simulate", () => {
  it("takes what it is asked", () => {
    assert.deepStrictEqual(askedOf(["--seeds", "10", "--seed=5", "--workers", "1"]), {
      _tag: "Seeds",
      first: 5,
      count: 10,
      mutant: undefined,
      workers: 1
    })
    const asked = askedOf(["--mutants", "--only", "wall-clock,no-barrier", "--until", "2"])
    assert.strictEqual(asked._tag, "Mutants")
    if (asked._tag !== "Mutants") return
    assert.sameMembers(asked.chosen.map(({ name }) => name), ["wall-clock", "no-barrier"])
    assert.strictEqual(asked.enough, 2)
  })

  it("refuses numbers that would run nothing, or something else", () => {
    for (const flag of ["--seeds", "--workers"]) {
      for (const text of ["0", "x", "1e1", "5.5", "", "0x10", "99999999999"]) {
        assert.include(refused(flag, text), `${flag} must be a whole number from 1`)
      }
    }
    for (const text of ["5.5", "-1", "1e1"]) assert.include(refused(`--seed=${text}`), "--seed must be a whole number")
    assert.include(refused("--mutants", "--until", "0"), "--until must be")
  })

  it("refuses what it does not know, and what would have no effect", () => {
    assert.include(refused("--sedes", "5"), "--sedes")
    assert.include(refused("5"), "'5'")
    refused("--seed")
    refused("--seed", "-1")
    assert.include(refused("--only", "wall-clock"), "--only needs --mutants")
    assert.include(refused("--until", "3"), "--until needs --mutants")
    assert.include(refused("--mutants", "--only", "wall-clock,nope"), `no mutant "nope"`)
    assert.include(refused("--mutants", "--only="), `no mutant ""`)
    assert.include(refused("--mutant", "nope"), `no mutant "nope"`)
    refused("--mutants", "--mutant", String(mutants[0]?.name))
  })

  it("calls runs wanting that were not made or read nothing", () => {
    const run = (seed: number, reads = 1) => ({ seed, hash: "00", reads })
    assert.deepStrictEqual(shortcomings(2, [run(1), run(2)]), [])
    assert.deepStrictEqual(shortcomings(2, [run(1), run(1)]), ["only 1 of 2 runs were made"])
    assert.deepStrictEqual(shortcomings(10, []), ["only 0 of 10 runs were made"])
    assert.deepStrictEqual(shortcomings(2, [run(1), run(2, 0)]), ["1 runs read nothing, first seed 2"])
  })

  it("gives the same runs the same hash in any order, and other runs another", () => {
    const [one, two, other] = [{ seed: 1, hash: "aa" }, { seed: 2, hash: "bb" }, { seed: 2, hash: "bc" }]
    assert.strictEqual(hashOf([one, two]), hashOf([two, one]))
    assert.notStrictEqual(hashOf([one, two]), hashOf([one, other]))
    assert.notStrictEqual(hashOf([one, two]), hashOf([{ seed: 1, hash: "bb" }, { seed: 2, hash: "aa" }]))
    assert.strictEqual(hashOf([one]), "aa")
  })
})
