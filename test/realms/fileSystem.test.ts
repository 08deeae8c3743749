import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { readToEnd } from "../../src/realms/fileSystem.ts"

const holding = (content: Buffer) =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "lockstep-read-"))),
      (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
    )
    const file = path.join(directory, "file")
    yield* Effect.promise(() => fs.writeFile(file, content))
    return yield* Effect.acquireRelease(
      Effect.promise(() => fs.open(file)),
      (handle) => Effect.promise(() => handle.close())
    )
  })

it.live("a file is read to its end, also where it has grown or shrunk since its stat", () =>
  Effect.forEach([0, 1, 2, 63, 64, 65, 4096, 100_000], (length) =>
    Effect.gen(function*() {
      const content = Buffer.from(Array.from({ length }, (_, index) => index % 251))
      for (const size of [length, length - 1, length + 1, Math.floor(length / 3), length * 2, 0, 1]) {
        if (size < 0) continue
        const read = yield* Effect.scoped(
          Effect.flatMap(holding(content), (handle) => Effect.promise(() => readToEnd(handle, size)))
        )
        assert.isTrue(read.equals(content), `${length} bytes, of which the stat said ${size}`)
      }
    }), { discard: true }))

it.live("a file of 2 GiB and more is refused before any of it is taken into memory", () =>
  Effect.gen(function*() {
    const handle = yield* holding(Buffer.from("sparse"))
    for (const size of [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32 + 100]) {
      const error = yield* Effect.flip(Effect.tryPromise({ try: () => readToEnd(handle, size), catch: String }))
      assert.include(error, "2 GiB")
    }
  }).pipe(Effect.scoped))

it.live("what is kept of a small file keeps no other bytes in memory", () =>
  Effect.gen(function*() {
    const handle = yield* holding(Buffer.from("small"))
    const read = yield* Effect.promise(() => readToEnd(handle, 5))
    assert.strictEqual(read.toString(), "small")
    assert.isAtMost(read.buffer.byteLength, 6)
  }).pipe(Effect.scoped))
