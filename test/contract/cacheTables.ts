import { type DefinitionsRow, ModuleTable } from "../../src/store/ModuleTable.ts"
import { ModuleTranspileTable, type TranspiledRow } from "../../src/store/ModuleTranspileTable.ts"

/** How the contract of cache tables is run on transpiled modules. */
export const transpiled = {
  tag: ModuleTranspileTable,
  sample: (version: number): TranspiledRow => ({
    body: `export const version = ${version} // naïve ✓ 😀 "quotes" \\ and\nlines`,
    headers: { "content-type": "text/javascript; charset=utf-8", etag: `"${version}"` },
    dependency_keys: ["./person", "effect", `./v${version}.ts`]
  }),
  raises: ["realm"],
  spares: ["paths", "definitions"]
} as const

/** How it is run on definitions. */
export const definitions = {
  tag: ModuleTable,
  sample: (version: number): DefinitionsRow => ({
    definitions: [{ name: `Person${version}`, kind: "class" }, { name: "*", kind: "re-export", from: "./all" }],
    dependency_keys: ["./all"],
    error: version % 2 === 0 ? { detail: "Unexpected token", line: version, column: null } : null
  }),
  raises: ["realm", "definitions"],
  spares: ["paths"]
} as const
