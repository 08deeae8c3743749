import { Context, Effect, Layer, Option } from "effect"
import { readIfThere, SourceCache, type SourceFile } from "../cache/SourceCache.ts"
import type { RealmView } from "../coordination/Generations.ts"
import type { Dependency } from "../domain/Definition.ts"
import type { DatabaseError, FileFailure } from "../domain/errors.ts"
import { ofWhole, type RealmUrl } from "../domain/RealmUrl.ts"
import { ModuleLocator, moduleUrl } from "./ModuleLocator.ts"

/** What an import led to, and the record of it. */
export interface Found {
  readonly dependency: Dependency
  /** None where there is no such file, or no realm. */
  readonly file: Option.Option<{ readonly view: RealmView; readonly source: SourceFile }>
}

/**
 * The other modules that definitions are made from (DESIGN rule 12: validity by content). Each is recorded as it was when
 * it was read, those that were not there too, and what was made from them is valid only while they are that.
 *
 * Whoever may read a realm may read its definitions. So they are made from that realm and from public ones alone: another
 * private realm is none, as far as they are concerned, and what was made from a realm before it became private is void.
 */
export class Dependencies extends Context.Service<Dependencies, {
  /** Reads what an import's URL stands for now, for a module of `reader`. */
  readonly read: (url: string, reader: RealmUrl) => Effect.Effect<Found, DatabaseError | FileFailure>
  /**
   * Whether all of them are what they were. Bytes come from memory while the fences of their realms hold; in source realms,
   * which anybody may edit, each file's stamp is looked at too.
   */
  readonly hold: (
    dependencies: ReadonlyArray<Dependency>,
    reader: RealmUrl
  ) => Effect.Effect<boolean, DatabaseError | FileFailure>
}>()("lockstep/definitions/Dependencies") {
  static readonly layer = Layer.effect(
    Dependencies,
    Effect.gen(function*() {
      const locator = yield* ModuleLocator
      const sources = yield* SourceCache

      const locate = (url: string, reader: RealmUrl) =>
        Effect.map(
          locator.locate(url),
          Option.filter(({ view: { row } }) => !row.isPrivate || ofWhole(row.realmUrl) === ofWhole(reader))
        )

      const read = Effect.fnUntraced(function*(
        url: string,
        reader: RealmUrl
      ): Effect.fn.Return<Found, DatabaseError | FileFailure> {
        const place = yield* locate(url, reader)
        if (Option.isNone(place)) {
          return {
            dependency: { url, realm: null, name: "", path: null, generation: 0, hash: null },
            file: Option.none()
          }
        }
        const { path: name, view } = place.value
        const source = yield* readIfThere(sources, view, name)
        const { generation, realmUrl } = view.row
        return {
          dependency: {
            url,
            realm: realmUrl,
            name,
            path: Option.isNone(source) ? null : source.value.canonicalPath,
            generation,
            hash: Option.isNone(source) ? null : source.value.hash
          },
          file: Option.map(source, (source) => ({ view, source }))
        }
      })

      // One look at each realm: its view serves all its files.
      const holds = (dependency: Dependency, reader: RealmUrl, views: Map<string, RealmView>) =>
        Effect.gen(function*() {
          const { hash, name, path, realm, url } = dependency
          let view = realm === null ? undefined : views.get(realm)
          if (view === undefined) {
            const place = yield* locate(url, reader)
            if (Option.isNone(place)) return realm === null
            view = place.value.view
            if (view.row.realmUrl !== realm) return false
            views.set(realm, view)
          }
          const source = yield* readIfThere(sources, view, name)
          return Option.isNone(source)
            ? hash === null
            : source.value.hash === hash && source.value.canonicalPath === path
        })

      const hold = Effect.fnUntraced(function*(dependencies: ReadonlyArray<Dependency>, reader: RealmUrl) {
        const views = new Map<string, RealmView>()
        for (const dependency of dependencies) if (!(yield* holds(dependency, reader, views))) return false
        return true
      })

      return Dependencies.of({ read, hold })
    })
  )
}

/** Every URL by which an invalidation may speak of a dependency: as asked for, the name, and the file. */
export const urlsOf = ({ name, path, realm, url }: Dependency): ReadonlyArray<string> =>
  realm === null ? [url] : [moduleUrl(realm, name), ...(path === null ? [] : [moduleUrl(realm, path)])]
