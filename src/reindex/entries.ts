import { Result, Schema } from "effect"
import { isExecutable, isHidden, isReserved } from "../domain/ModulePath.ts"
import type { Renderable } from "./Prerenderer.ts"

/** A JSON document that adopts from a module's export: `meta.adoptsFrom` says from which. */
const Instance = Schema.fromJsonString(Schema.Struct({
  data: Schema.Struct({
    attributes: Schema.optionalKey(Schema.Unknown),
    meta: Schema.Struct({ adoptsFrom: Schema.Struct({ module: Schema.String, name: Schema.String }) })
  })
}))
const decode = Schema.decodeUnknownResult(Instance)

/** Whether a file may have a rendering: whether it does, its bytes say. */
export const mayRender = (path: string): boolean =>
  (path.endsWith(".json") || isExecutable(path)) && !isReserved(path) && !isHidden(path)

/** Whether a file is an instance, which has a rendering or an error. */
export const isInstance = (path: string, text: string): boolean =>
  path.endsWith(".json") && Result.isSuccess(decode(text))

// What exports a name `isolated`, whatever else it looks like: the module itself is asked in the end.
const exportsIsolated =
  /\bexport\s*(?:\*|\{[^}]*\bisolated\b|(?:async\s+)?function\s*\*?\s*isolated\b|(?:const|let|var|class)\s+isolated\b)/

/** What is rendered for a file with this text, at this URL; nothing for most files. */
export const renderableOf = (path: string, url: string, text: string): Renderable | undefined => {
  if (!path.endsWith(".json")) {
    return exportsIsolated.test(text) ? { module: url, name: undefined, model: undefined } : undefined
  }
  const instance = decode(text)
  if (Result.isFailure(instance)) return undefined
  const { attributes, meta: { adoptsFrom } } = instance.success.data
  // One that cannot be resolved is an error of its own, told when it is looked for.
  const module = URL.canParse(adoptsFrom.module, url) ? new URL(adoptsFrom.module, url).href : adoptsFrom.module
  return { module, name: adoptsFrom.name, model: attributes ?? {} }
}
