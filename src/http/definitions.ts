import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { SourceCache } from "../cache/SourceCache.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { entryOf, publicScope } from "../definitions/DefinitionLookup.ts"
import { ModuleDefinitions, type ModuleInView } from "../definitions/ModuleDefinitions.ts"
import { DefinitionNotFound, FileNotFound, InvalidInput } from "../domain/errors.ts"
import { isExecutable, isHidden } from "../domain/ModulePath.ts"
import { pathIn } from "./pathIn.ts"

/**
 * `GET <realm>_definitions?module=person[&name=Person]`: what a module exports, or one of its exports. The path may leave
 * out the extension. A module at fault answers with its `error`; a name that it does not export is 404.
 */
export const definitionsOf = Effect.fnUntraced(function*(view: RealmView, query: URLSearchParams) {
  const path = yield* pathIn(query, "module", "_definitions")
  const name = query.get("name")
  if (name === "") {
    return yield* new InvalidInput({ detail: "?name= is empty: name an export, or leave it out for all" })
  }
  const sources = yield* SourceCache
  const source = yield* sources.read(view, path)
  if (!isExecutable(source.canonicalPath) || isHidden(source.canonicalPath)) {
    return yield* new FileNotFound({ realmUrl: view.row.realmUrl, path, detail: "is not a module" })
  }
  const module: ModuleInView = { view, source, scope: publicScope }
  const { definitions, ...entry } = entryOf(module, yield* (yield* ModuleDefinitions).get(module))
  const wanted = name === null ? definitions : definitions.filter((each) => each.name === name)
  if (name !== null && wanted.length === 0 && entry.error === null) {
    return yield* new DefinitionNotFound({
      module: entry.module,
      name,
      detail: "the module exports nothing by this name"
    })
  }
  return HttpServerResponse.jsonUnsafe(
    { ...entry, canonicalPath: source.canonicalPath, definitions: wanted },
    { headers: { "cache-control": "no-store" } }
  )
})
