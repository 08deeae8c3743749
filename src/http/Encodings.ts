import { promisify } from "node:util"
import * as zlib from "node:zlib"
import { Cache, Context, Effect, Equal, Hash, Layer, Option } from "effect"
import { Counters } from "../coordination/Counters.ts"
import { makeSparingWarning } from "../domain/sparingWarning.ts"
import { EncodingTable } from "../store/EncodingTable.ts"
import type { Coding } from "./contentEncoding.ts"

/** One body to be compressed; its entity tag stands for its bytes. */
export interface Encodable {
  readonly etag: string
  readonly body: Uint8Array
}

/** A run that is known by what it makes. */
class Run implements Equal.Equal {
  readonly coding: Exclude<Coding, "identity">
  readonly source: Encodable

  constructor(coding: Exclude<Coding, "identity">, source: Encodable) {
    this.coding = coding
    this.source = source
  }

  [Hash.symbol](): number {
    return Hash.string(`${this.coding} ${this.source.etag}`)
  }

  [Equal.symbol](that: unknown): boolean {
    return that instanceof Run && that.coding === this.coding && that.source.etag === this.source.etag
  }
}

const brotli = promisify(zlib.brotliCompress)
const gzip = promisify(zlib.gzip)

// Made once in the fleet and sent many times; yet a reader waits for it the first time: not the slowest setting.
const quality = 6

/**
 * Compressed representations, made once in the whole fleet: by Node's own threads, never on the event loop, and kept in
 * the shared cache by the tag of the bytes that they were made from, so no invalidation concerns them.
 */
export class Encodings extends Context.Service<Encodings, {
  readonly encode: (coding: Exclude<Coding, "identity">, source: Encodable) => Effect.Effect<Uint8Array>
}>()("lockstep/http/Encodings") {
  static readonly layer = Layer.effect(
    Encodings,
    Effect.gen(function*() {
      const counters = yield* Counters
      const table = yield* EncodingTable

      const compress = (coding: Exclude<Coding, "identity">, body: Uint8Array) =>
        Effect.promise(() =>
          coding === "br"
            ? brotli(body, {
              params: {
                [zlib.constants.BROTLI_PARAM_QUALITY]: quality,
                [zlib.constants.BROTLI_PARAM_SIZE_HINT]: body.length
              }
            })
            : gzip(body)
        )
      const warn = makeSparingWarning("The shared cache could not be used")
      const lost = <A>(otherwise: A) => (cause: unknown) =>
        Effect.as(
          Effect.andThen(
            Effect.sync(() => counters.l2Errors++),
            warn("a compressed body", cause)
          ),
          otherwise
        )

      // Requests for one body that come together share one look and one run; what is finished its readers keep.
      const runs = yield* Cache.make({
        capacity: 1000,
        timeToLive: 0,
        lookup: Effect.fnUntraced(function*({ coding, source: { body, etag } }: Run) {
          const found = yield* Effect.catch(table.read(etag, coding), lost(Option.none<Uint8Array>()))
          if (Option.isSome(found)) return found.value
          const encoded = yield* compress(coding, body)
          yield* Effect.catch(table.write(etag, coding, encoded), lost(undefined))
          return encoded
        })
      })

      return Encodings.of({
        encode: (coding, source) => Cache.get(runs, new Run(coding, source))
      })
    })
  )
}
