/** Run as a process of its own by a test. It never closes its threads: they must not keep it alive. */
import { Effect, Layer, Scope } from "effect"
import { Transpiler } from "../../src/transpile/Transpiler.ts"
import { moduleSource } from "./moduleSource.ts"
import { outputDigest } from "./samples.ts"

const layer = process.argv[2] === "oxc" ? Transpiler.layerOxc : Transpiler.layer

const context = await Effect.runPromise(
  Effect.flatMap(Scope.make(), (scope) => Layer.buildWithScope(layer({ workers: 2 }), scope))
)
// one that nobody ever asks
await Effect.runPromise(
  Effect.flatMap(Scope.make(), (scope) => Layer.buildWithScope(layer({ workers: 1 }), scope))
)
console.log(
  await Effect.runPromise(Effect.provideContext(
    Effect.gen(function*() {
      const { transpile } = yield* Transpiler
      // Babel warns on the console about this one
      yield* transpile(moduleSource("noisy.ts", "export default undeclared"))
      return yield* outputDigest
    }),
    context
  ))
)
