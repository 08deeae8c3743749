import { Context, Effect, Layer, Option } from "effect"
import { readIfThere, SourceCache } from "../cache/SourceCache.ts"
import type { CodeRef } from "../domain/CodeRef.ts"
import { type Definition, type DefinitionFault, type ExportResult, isFault } from "../domain/Definition.ts"
import { DefinitionError, DefinitionNotFound } from "../domain/errors.ts"
import { isExecutable } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import type { DefinitionsRow } from "../store/ModuleTable.ts"
import { DefinitionInvalidation, type InvalidationFailure } from "./DefinitionInvalidation.ts"
import { type DefinitionFailure, ModuleDefinitions, type ModuleInView } from "./ModuleDefinitions.ts"
import { ModuleLocator, moduleUrl } from "./ModuleLocator.ts"

/** What is known of one module. */
export interface DefinitionEntry {
  /** The module's URL, with the file's extension. */
  readonly module: string
  /** One result an export, by name: its definition, or why there is none. */
  readonly definitions: ReadonlyArray<ExportResult>
  /** Import specifiers, as written. */
  readonly imports: ReadonlyArray<string>
  /** URLs of the modules that the results were made from, transitively, with their extensions where they exist. */
  readonly dependencies: ReadonlyArray<string>
  /** Why the module as a whole has no definitions. */
  readonly error: DefinitionFault | null
}

/** Whose view of the realms an answer is made under, and kept for. Default `public`. */
export interface Scoped {
  readonly scope?: string
}

/** Modules by their URLs, with or without extension. */
export interface BatchQuery extends Scoped {
  readonly modules: ReadonlyArray<string>
}

/**
 * What modules export (S24 to S27), by module URL. A URL without extension stands for the first file that exists of
 * `.gts .ts .tsx .gjs .js .jsx .mts .mjs`.
 *
 * What is answered is never older than the bytes that the realms have when the question arrives: a definition counts only
 * while every module that it was made from is what it was.
 */
// @effect-diagnostics-next-line lazyEffect:off
export class DefinitionLookup extends Context.Service<DefinitionLookup, {
  /**
   * The definition of one export, with inherited members. Fails with `DefinitionNotFound` where there is no such module or
   * export, and with `DefinitionError` where its code is at fault; such errors are kept for 30 seconds.
   */
  readonly lookupDefinition: (
    ref: CodeRef,
    options?: Scoped
  ) => Effect.Effect<Definition, DefinitionNotFound | DefinitionError | DefinitionFailure>
  /** The same if it is in the cache, of this replica or the shared one, and valid. It has no side effects. */
  readonly lookupCachedDefinition: (
    ref: CodeRef,
    options?: Scoped
  ) => Effect.Effect<Option.Option<Definition>, DefinitionFailure>
  /** All that the cache has of a module, if it is valid. It has no side effects. */
  readonly getCachedDefinitions: (
    module: string,
    options?: Scoped
  ) => Effect.Effect<Option.Option<DefinitionEntry>, DefinitionFailure>
  /** The shared cache's entries of many modules, by the URLs asked for, in one query; those that are not there are left out. */
  readonly getCachedDefinitionsBatch: (
    query: BatchQuery
  ) => Effect.Effect<ReadonlyMap<string, DefinitionEntry>, DefinitionFailure>
  /**
   * Voids a module, under every name that it goes by, and every module that depends on it, transitively and across realms,
   * on all replicas, also where one is being analysed.
   */
  readonly invalidate: (module: string) => Effect.Effect<void, InvalidationFailure | DefinitionNotFound>
  /** Voids all of a realm: what was begun before can never be kept. */
  readonly clearRealmDefinitions: (realmUrl: RealmUrl) => Effect.Effect<void, InvalidationFailure>
  /** Voids all of every realm. */
  readonly clearAllDefinitions: () => Effect.Effect<void, InvalidationFailure>
}>()("lockstep/definitions/DefinitionLookup") {
  static readonly layer = Layer.effect(
    DefinitionLookup,
    Effect.gen(function*() {
      const definitions = yield* ModuleDefinitions
      const invalidation = yield* DefinitionInvalidation
      const locator = yield* ModuleLocator
      const sources = yield* SourceCache

      const find = Effect.fnUntraced(function*(module: string, { scope = publicScope }: Scoped = {}) {
        const place = yield* locator.locate(module)
        if (Option.isNone(place)) return Option.none<ModuleInView>()
        const { path, view } = place.value
        const source = yield* readIfThere(sources, view, path)
        return Option.isSome(source) && isExecutable(source.value.canonicalPath)
          ? Option.some<ModuleInView>({ view, source: source.value, scope })
          : Option.none<ModuleInView>()
      })

      const lookupDefinition = Effect.fn("DefinitionLookup.lookupDefinition")(
        function*(ref: CodeRef, options?: Scoped) {
          const module = yield* find(ref.module, options)
          if (Option.isNone(module)) return yield* new DefinitionNotFound({ ...ref, detail: "there is no such module" })
          return yield* pick(yield* definitions.get(module.value), ref)
        }
      )

      const cachedRow = Effect.fnUntraced(function*(module: ModuleInView) {
        const here = yield* definitions.peek(module)
        if (Option.isSome(here)) return here
        const [row = Option.none<DefinitionsRow>()] = yield* definitions.shared([module])
        return row
      })

      const getCachedDefinitions = Effect.fnUntraced(function*(url: string, options?: Scoped) {
        const module = yield* find(url, options)
        if (Option.isNone(module)) return Option.none<DefinitionEntry>()
        return Option.map(yield* cachedRow(module.value), (row) => entryOf(module.value, row))
      })

      const lookupCachedDefinition = Effect.fnUntraced(function*(ref: CodeRef, options?: Scoped) {
        const entry = yield* getCachedDefinitions(ref.module, options)
        return Option.flatMap(entry, ({ definitions }) =>
          Option.fromUndefinedOr(
            definitions.find((each): each is Definition => each.name === ref.name && !isFault(each))
          ))
      })

      const getCachedDefinitionsBatch = Effect.fn("DefinitionLookup.getCachedDefinitionsBatch")(
        function*({ modules, ...options }: BatchQuery) {
          const urls = [...new Set(modules)]
          const found = yield* Effect.forEach(
            urls,
            (url) => Effect.map(find(url, options), Option.map((module) => ({ url, module }))),
            { concurrency: 16 }
          )
          const present = found.flatMap(Option.toArray)
          const rows = yield* definitions.shared(present.map(({ module }) => module))
          const entries = new Map<string, DefinitionEntry>()
          present.forEach(({ module, url }, index) => {
            const row = rows[index]
            if (row !== undefined && Option.isSome(row)) entries.set(url, entryOf(module, row.value))
          })
          return entries
        }
      )

      const invalidate = Effect.fn("DefinitionLookup.invalidate")(function*(module: string) {
        const place = yield* locator.locate(module)
        if (Option.isNone(place)) {
          return yield* new DefinitionNotFound({ module, name: "*", detail: "no realm is mounted there" })
        }
        return yield* invalidation.modules(place.value.view.row.realmUrl, [place.value.path])
      })

      return DefinitionLookup.of({
        lookupDefinition,
        lookupCachedDefinition,
        getCachedDefinitions,
        getCachedDefinitionsBatch,
        invalidate,
        clearRealmDefinitions: invalidation.realm,
        clearAllDefinitions: () => invalidation.everything
      })
    })
  )
}

/** The scope of what everybody may see. */
export const publicScope = "public"

/** A module's row as an entry. */
export const entryOf = ({ source, view }: ModuleInView, row: DefinitionsRow): DefinitionEntry => ({
  module: moduleUrl(view.row.realmUrl, source.canonicalPath),
  definitions: row.definitions,
  imports: row.dependency_keys,
  dependencies: [
    ...new Set(
      row.dependencies.map(({ path, realm, url }) => realm === null || path === null ? url : moduleUrl(realm, path))
    )
  ],
  error: row.error
})

const pick = Effect.fnUntraced(function*(row: DefinitionsRow, ref: CodeRef) {
  if (row.error !== null) return yield* new DefinitionError({ ...ref, ...row.error, at: ref.module })
  const result = row.definitions.find((each) => each.name === ref.name)
  if (result === undefined) {
    return yield* new DefinitionNotFound({ ...ref, detail: "the module exports nothing by this name" })
  }
  if (!isFault(result)) return result
  const { module: at = ref.module, ...fault } = result.error
  return yield* new DefinitionError({ ...ref, ...fault, at })
})
