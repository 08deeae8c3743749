import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { fleetHeader, FleetPass } from "../../src/access/FleetPass.ts"
import { FleetSecretTable } from "../../src/store/FleetSecretTable.ts"

/** Two members of a database whose secret the test decides on. */
const members = Effect.gen(function*() {
  const database = { secret: "secret one of the tests, which is long", asked: 0 }
  const layer = FleetPass.layer.pipe(Layer.provide(Layer.succeed(FleetSecretTable, {
    read: Effect.sync(() => {
      database.asked++
      return Redacted.make(database.secret)
    })
  })))
  const build = Effect.map(Layer.build(Layer.fresh(layer)), Context.get(FleetPass))
  return { database, one: yield* build, other: yield* build }
})

const passOf = (pass: FleetPass["Service"]) => Effect.map(pass.header, (headers) => headers[fleetHeader] ?? "")

it.effect("a member knows another's pass for as long as it is good, and no other", () =>
  Effect.gen(function*() {
    const { one, other } = yield* members
    const pass = yield* passOf(one)
    assert.isTrue(yield* other.holds(pass))
    for (const wrong of ["", pass.slice(0, -1), `${pass}x`, pass.slice(1), "a.b.c", "x".repeat(5000)]) {
      assert.isFalse(yield* other.holds(wrong), wrong)
    }
    yield* TestClock.adjust("20 seconds")
    assert.strictEqual(yield* passOf(one), pass, "made once, sent often")
    yield* TestClock.adjust("20 seconds")
    assert.notStrictEqual(yield* passOf(one), pass)
    assert.isTrue(yield* other.holds(pass))
    yield* TestClock.adjust("2 minutes")
    assert.isFalse(yield* other.holds(pass))
    assert.isTrue(yield* other.holds(yield* passOf(one)))
  }))

it.effect("a secret that is replaced is obeyed within seconds, however many passes come", () =>
  Effect.gen(function*() {
    const { database, one, other } = yield* members
    const old = yield* passOf(one)
    assert.isTrue(yield* other.holds(old))
    database.secret = "secret two of the tests, which is long"
    yield* TestClock.adjust("31 seconds")
    const pass = yield* passOf(one)
    assert.isTrue(yield* other.holds(pass))
    assert.isFalse(yield* other.holds(old))
    const { asked } = database
    for (let n = 0; n < 100; n++) assert.isFalse(yield* other.holds(`${pass}${n}`))
    assert.isAtMost(database.asked, asked + 1)
  }))
