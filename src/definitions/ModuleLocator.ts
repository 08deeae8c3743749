import { Context, Effect, Layer, Option, Result } from "effect"
import { Generations, type RealmView } from "../coordination/Generations.ts"
import { versionView } from "../coordination/versionView.ts"
import type { DatabaseError } from "../domain/errors.ts"
import { decode, encode, isHidden, isReserved, splitVersion } from "../domain/ModulePath.ts"
import { candidates } from "../domain/RealmUrl.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"

/** A place in a realm, as the realm is now. */
export interface Place {
  readonly view: RealmView
  /** Realm-relative: a file's path or a module's alias. It may not exist. */
  readonly path: string
}

/** Finds the realm that a module's URL lies in. */
export class ModuleLocator extends Context.Service<ModuleLocator, {
  /** None where no realm is mounted, or where realms have no modules (hidden and reserved paths). */
  readonly locate: (url: string) => Effect.Effect<Option.Option<Place>, DatabaseError>
}>()("lockstep/definitions/ModuleLocator") {
  static readonly layer = Layer.effect(
    ModuleLocator,
    Effect.gen(function*() {
      const generations = yield* Generations
      const versions = yield* RealmVersionTable

      const locate = Effect.fnUntraced(function*(text: string) {
        const url = URL.canParse(text) ? new URL(text) : undefined
        if (url === undefined || !/^https?:$/.test(url.protocol)) return Option.none<Place>()
        // Other servers' hosts are asked about once, not path by path.
        if (!(yield* generations.hasRealms(url.origin))) return Option.none<Place>()
        const [view] = yield* generations.view(candidates(url.origin, url.pathname))
        if (view === undefined) return Option.none<Place>()
        const decoded = decode(url.pathname.slice(new URL(view.row.realmUrl).pathname.length))
        if (Result.isFailure(decoded) || decoded.success === "") return Option.none<Place>()
        const version = view.row.kind === "published" ? splitVersion(decoded.success) : undefined
        const path = version?.path ?? decoded.success
        if (path === "" || isHidden(path) || (version === undefined && isReserved(path))) return Option.none<Place>()
        if (version === undefined) return Option.some({ view, path })
        return yield* versionView(view, version.generation).pipe(
          Effect.provideService(RealmVersionTable, versions),
          Effect.map((view) => Option.some<Place>({ view, path })),
          Effect.catchTag("FileNotFound", () => Effect.succeed(Option.none<Place>()))
        )
      })
      return ModuleLocator.of({ locate })
    })
  )
}

/** The URL of a file, or of an alias, of a realm. */
export const moduleUrl = (realmUrl: string, path: string): string => realmUrl + encode(path)
