import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { EncodingTable } from "../../src/store/EncodingTable.ts"

/** What every EncodingTable promises. */
export const encodingTable = <E>(name: string, services: Layer.Layer<EncodingTable, E>) =>
  layer(services, { excludeTestServices: true })(`EncodingTable on ${name}`, (it) => {
    const bytes = (text: string) => new Uint8Array(Buffer.from(text))
    const shown = Option.map((body: Uint8Array) => Buffer.from(body).toString())

    it.effect("each coding of each tag has the bytes that were written first", () =>
      Effect.gen(function*() {
        const table = yield* EncodingTable
        const [etag, other] = [randomUUID(), randomUUID()]
        assert.deepStrictEqual(yield* table.read(etag, "br"), Option.none())
        yield* table.write(etag, "br", bytes("brotli"))
        yield* table.write(etag, "gzip", bytes("gzip"))
        yield* table.write(other, "br", bytes("other"))
        assert.deepStrictEqual(shown(yield* table.read(etag, "br")), Option.some("brotli"))
        assert.deepStrictEqual(shown(yield* table.read(etag, "gzip")), Option.some("gzip"))
        assert.deepStrictEqual(shown(yield* table.read(other, "br")), Option.some("other"))
        assert.deepStrictEqual(yield* table.read(other, "gzip"), Option.none())
      }))

    it.effect("two replicas that write one body at once are both right", () =>
      Effect.gen(function*() {
        const table = yield* EncodingTable
        const etag = randomUUID()
        const write = table.write(etag, "br", bytes("same"))
        yield* Effect.all([write, write, write], { concurrency: "unbounded" })
        assert.deepStrictEqual(shown(yield* table.read(etag, "br")), Option.some("same"))
      }))

    it.effect("a collection takes what is old and leaves what is young", () =>
      Effect.gen(function*() {
        const table = yield* EncodingTable
        const etag = randomUUID()
        yield* table.write(etag, "br", bytes("young"))
        yield* table.collect(1)
        assert.deepStrictEqual(shown(yield* table.read(etag, "br")), Option.some("young"))
        // Made at least a moment ago: a limit in the future is past everything.
        assert.isAbove(yield* table.collect(-1), 0)
        assert.deepStrictEqual(yield* table.read(etag, "br"), Option.none())
      }), { concurrent: false })
  })
