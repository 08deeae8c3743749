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
    definitions: [
      {
        name: `Person${version}`,
        kind: "class",
        declared: { module: "http://a.example/b/person.ts", name: "Person" },
        line: 3,
        summary: "Naïve ✓ 😀",
        superClass: { text: "Base", ref: { specifier: "./base", module: "http://a.example/b/base", name: "Base" } },
        ancestors: [],
        members: []
      },
      { name: "gone", error: { detail: "does not exist", module: "http://a.example/b/all", line: 1, column: null } }
    ],
    dependency_keys: ["./base", "./all"],
    dependencies: [
      {
        url: "http://a.example/b/all",
        realm: "http://a.example/b/",
        name: "all",
        path: null,
        generation: 3,
        hash: null
      }
    ],
    depends_on: ["http://a.example/b/all"],
    depends_on_realms: ["http://a.example/b/"],
    error: version % 2 === 0 ? { detail: "Unexpected token", line: version, column: null } : null,
    expires_at: version % 2 === 0 ? 1_800_000_000_000 : null,
    scope: "public"
  }),
  raises: ["realm", "definitions"],
  spares: ["paths"]
} as const
