import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { runCommand } from "../../cli/runCommand.ts"
import { Fleet } from "../../support/fleet.ts"

const verify = (...servers: ReadonlyArray<string>) =>
  runCommand(["verify", "--json", "--duration", "8s", ...servers.flatMap((server) => ["--server", server])])

const fleet = (replicas: number) =>
  Effect.map(Layer.build(Fleet.layer({ replicas })), (context) => Context.get(context, Fleet))

it.live(
  "verify passes a fleet that keeps its promise, and measures how far its replicas are behind",
  () =>
    Effect.scoped(Effect.gen(function*() {
      const { first, second } = yield* fleet(2)
      const { exitCode, stderr, stdout } = yield* verify(first.url, second.url)
      assert.deepStrictEqual([exitCode, stderr], [0, ""], stdout)
      const verdict = JSON.parse(stdout)
      assert.strictEqual(verdict.violations, 0)
      for (const count of ["changes", "readsWithToken", "readsOfVersions"]) assert.isAbove(verdict[count], 0, count)
      assert.isAbove(verdict.stalenessMillis.waited.sinceRequest.max, 0)
      assert.notInclude((yield* first.ask("/_realms")).text, "lockstep-verify")
    }))
)

it.live("verify refuses two replicas on two databases", () =>
  Effect.scoped(Effect.gen(function*() {
    const [one, other] = yield* Effect.all([fleet(1), fleet(1)])
    const { exitCode, stderr } = yield* verify(one.first.url, other.first.url)
    assert.strictEqual(exitCode, 1)
    assert.include(stderr, "these servers are not one fleet")
    for (const { first } of [one, other]) assert.include(stderr, first.url)
  })))
