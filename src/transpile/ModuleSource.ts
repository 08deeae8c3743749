/** One module as a realm holds it: what a transpile or an analysis starts from. */
export interface ModuleSource {
  /** URL of the realm. Groups share the workers fairly: one realm's flood does not hold up another's file. */
  readonly group: string
  /** Canonical path inside the realm, such as `a/person.ts`. Its extension decides the language. */
  readonly path: string
  /** The file's bytes, expected to be UTF-8. They are copied, never detached. */
  readonly bytes: Uint8Array
}
