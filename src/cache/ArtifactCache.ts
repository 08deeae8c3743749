import { Effect, Option, Schema, type Scope } from "effect"
import { Counters } from "../coordination/Counters.ts"
import { Generations } from "../coordination/Generations.ts"
import { PopulateCoordinator } from "../coordination/PopulateCoordinator.ts"
import { DatabaseError, type FileFailure, type FileNotFound, RealmNotFound } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { ArtifactTable } from "../store/ArtifactTable.ts"
import { type CacheKey, make as makeEngine, type Origin } from "./CoherentCache.ts"
import { contentKey } from "./contentKey.ts"
import { SourceCache, type SourceFile } from "./SourceCache.ts"

/** What a host derives from a realm's files, and how. */
export interface ArtifactOptions<A, E, R> {
  /** What is derived, such as `markdown`. One a cache: caches of one kind share what they make, in all replicas. */
  readonly kind: string
  /** Whatever else decides the result: versions of what makes it, options. Another version finds nothing of this one's. */
  readonly version: string
  /** How a value is written as JSON, for the other replicas. */
  readonly schema: Schema.Codec<A, unknown>
  /** Bound of what this process keeps, in bytes. */
  readonly capacityBytes: number
  /** Bytes that a value takes in memory. Default: those of its JSON. */
  readonly sizeOf?: (value: A) => number
  /**
   * Makes a value from one file, and from nothing else. It runs once in the fleet for a content while PostgreSQL can be
   * asked, however many ask at once. A failure reaches all who wait, and is not kept.
   */
  readonly compute: (file: SourceFile & { readonly realmUrl: RealmUrl }) => Effect.Effect<A, E, R>
}

/** A value, and what it was made of. */
export interface Artifact<A> {
  readonly value: A
  /** Where it came from: this process (`l1`), another replica (`l2`), somebody else's run (`joined`), or a run of its own. */
  readonly origin: Origin
  /** The realm's generation that it is valid for. */
  readonly generation: number
  /** The file's path, with its extension. */
  readonly canonicalPath: string
}

/** Values derived from realms' files: as coherent as modules are. */
export interface ArtifactCache<A, E> {
  /**
   * The value for a file of a realm, by its path or alias. A request that begins after an edit, a publish or an invalidation
   * returned is never answered from before it (I1), and none by more than a lease (I2).
   */
  readonly get: (
    realmUrl: RealmUrl,
    path: string
  ) => Effect.Effect<Artifact<A>, E | RealmNotFound | FileNotFound | FileFailure | DatabaseError>
  /** Bytes in this process. */
  readonly bytes: () => number
}

interface Key extends CacheKey {
  readonly source: SourceFile
}

interface Made<A> {
  readonly value: A
  readonly json: string
}

/**
 * `CoherentCache` around anything that is made from a file: rendered markdown, resized images, parsed schemas. It lives as
 * long as the scope. Values over 8 MiB of JSON are kept in this process alone.
 */
export const make = Effect.fnUntraced(function*<A, E, R>(
  options: ArtifactOptions<A, E, R>
): Effect.fn.Return<
  ArtifactCache<A, E>,
  never,
  R | Scope.Scope | ArtifactTable | Counters | Generations | PopulateCoordinator | SourceCache
> {
  const { compute, kind, sizeOf, version } = options
  const coordinator = yield* PopulateCoordinator
  const counters = yield* Counters
  const generations = yield* Generations
  const sources = yield* SourceCache
  const table = yield* ArtifactTable
  const json = Schema.fromJsonString(Schema.toCodecJson(options.schema))
  const encode = Schema.encodeEffect(json)
  const decode = Schema.decodeEffect(json)

  const engine = yield* makeEngine<Key, Made<A>, E, R>({
    flow: `artifact ${kind}`,
    capacityBytes: options.capacityBytes,
    sizeOf: (made) => sizeOf === undefined ? made.json.length * 2 : sizeOf(made.value),
    coordinator,
    // what is counted is modules
    counters: { ...counters },
    compute: ({ source, view }) =>
      Effect.flatMap(
        compute({ ...source, realmUrl: view.row.realmUrl }),
        // a value that its own schema refuses is a bug of the host's
        (value) => Effect.map(Effect.orDie(encode(value)), (json): Made<A> => ({ value, json }))
      ),
    shared: {
      read: (realmUrl, _path, key) =>
        Effect.flatMap(
          table.read(realmUrl, key),
          Option.match({
            onNone: () => Effect.succeedNone,
            onSome: (json) =>
              decode(json).pipe(
                Effect.map((value) => Option.some<Made<A>>({ value, json })),
                Effect.mapError((cause) =>
                  new DatabaseError({ operation: `read an artifact of the kind ${kind}`, cause })
                )
              )
          })
        ),
      write: (realmUrl, _path, key, token, made) =>
        made.json.length > maxSharedLength
          ? Effect.succeed(true)
          : table.write(realmUrl, key, token.generation, made.json)
    }
  })

  return {
    bytes: engine.bytes,
    get: Effect.fn("ArtifactCache.get")(function*(realmUrl, path) {
      const [view] = yield* generations.view([realmUrl])
      if (view === undefined) return yield* new RealmNotFound({ realmUrl })
      const source = yield* sources.read(view, path)
      const { canonicalPath } = source
      const made = yield* engine.get({
        view,
        source,
        path: canonicalPath,
        contentKey: contentKey(`artifact ${kind.length} ${kind} ${version}`, canonicalPath, source.hash)
      })
      return { value: made.value.value, origin: made.origin, generation: view.row.generation, canonicalPath }
    })
  }
})

/** What is longer stays out of L2: a database is no place for it. */
const maxSharedLength = 8 * 1024 * 1024
