import { Effect } from "effect"
import { createHash } from "node:crypto"
import { Transpiler } from "../../src/transpile/Transpiler.ts"
import { moduleSource } from "./moduleSource.ts"

/** One module of each kind, with what Babel could be tempted to take from its surroundings. */
export const samples = [
  moduleSource(
    "deep/down/index.tsx",
    `import type { P } from "./p.ts"
     const Missing = 1; export { Missing as default }
     export const Card = createReactClass({ render: (p: P) => <b {...p} key="k">{import.meta.url}</b> })`
  ),
  moduleSource(
    "decorated.ts",
    `@d export class A { @f x: number = 1; static accessor y = 2; constructor(private z: string) {} }
     export enum E { A, B = "b" } export namespace N { export const n = E.A }`
  ),
  moduleSource(
    "modern.js",
    "#!/usr/bin/env node\n/* kept */ export default await import('./x.js', { with: { type: 'json' } })"
  ),
  moduleSource("view.jsx", "export default () => <>{[1].map((n) => <i key={n}/>)}</>"),
  moduleSource("cast.mts", "export const a = b as unknown as string")
]

/** Fingerprint and output of the samples, as one hash. */
export const outputDigest = Effect.gen(function*() {
  const { fingerprint, transpile } = yield* Transpiler
  const outputs = yield* Effect.forEach(samples, transpile)
  return createHash("sha256").update(JSON.stringify([fingerprint, outputs])).digest("hex")
})
