import { Context, Deferred, Effect, Layer } from "effect"
import { DefinitionLookup } from "../../src/definitions/DefinitionLookup.ts"
import { ModuleAnalyses } from "../../src/definitions/ModuleAnalyses.ts"
import { ModuleDefinitions } from "../../src/definitions/ModuleDefinitions.ts"
import { Transpiler } from "../../src/transpile/Transpiler.ts"
import { notesUrl, oneReplica } from "../lifecycle/oneReplica.ts"
import { put } from "../realms/temporaryRealms.ts"

/** Holds analyses back, after their bytes were read, and counts them. */
export class Gate extends Context.Service<Gate, {
  /** Paths in the order in which their analysis began. */
  readonly analysed: Array<string>
  /** The next analysis of this path tells that it has begun, and waits for `open`. */
  readonly hold: (path: string) => { readonly begun: Effect.Effect<void>; readonly open: Effect.Effect<void> }
}>()("lockstep/test/definitions/Gate") {
  static readonly layer = Layer.sync(Gate, () => {
    const held = new Map<string, { begun: Deferred.Deferred<void>; open: Deferred.Deferred<void> }>()
    const analysed: Array<string> = []
    gates.set(analysed, held)
    return {
      analysed,
      hold: (path) => {
        const gate = { begun: Deferred.makeUnsafe<void>(), open: Deferred.makeUnsafe<void>() }
        held.set(path, gate)
        return {
          begun: Deferred.await(gate.begun),
          open: Effect.asVoid(Deferred.succeed(gate.open, undefined))
        }
      }
    }
  })
}

const gates = new WeakMap<
  Array<string>,
  Map<string, { begun: Deferred.Deferred<void>; open: Deferred.Deferred<void> }>
>()

const gatedTranspiler = Layer.effect(
  Transpiler,
  Effect.gen(function*() {
    const transpiler = yield* Transpiler
    const { analysed } = yield* Gate
    return Transpiler.of({
      ...transpiler,
      analyze: Effect.fnUntraced(function*(source) {
        analysed.push(source.path)
        const gate = gates.get(analysed)?.get(source.path)
        gates.get(analysed)?.delete(source.path)
        if (gate !== undefined) {
          yield* Deferred.succeed(gate.begun, undefined)
          yield* Deferred.await(gate.open)
        }
        return yield* transpiler.analyze(source)
      })
    })
  })
)

/** All of Lockstep in memory; its definitions are made behind the gate. */
export const gatedLookup = Layer.fresh(DefinitionLookup.layer).pipe(
  Layer.provideMerge(ModuleDefinitions.layer(1_000_000)),
  Layer.provide(ModuleAnalyses.layer(1_000_000)),
  Layer.provide(gatedTranspiler),
  Layer.provideMerge(Gate.layer),
  Layer.provideMerge(oneReplica)
)

export const urlOf = (path: string) => notesUrl + path

/** Writes files of the realm `notes` before anybody has looked. */
export const putAll = (files: Readonly<Record<string, string>>) =>
  Effect.forEach(Object.entries(files), ([file, text]) => put(file, text), { discard: true })
