import type { ModuleSource } from "../../src/transpile/Transpiler.ts"

export const realm = "http://localhost:4201/test/"

/** A module as a test writes it down. */
export const moduleSource = (path: string, text: string, group = realm): ModuleSource => ({
  group,
  path,
  bytes: new TextEncoder().encode(text)
})
