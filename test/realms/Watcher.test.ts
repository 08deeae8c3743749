import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger, Option } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { type Hint, Watcher } from "../../src/realms/Watcher.ts"
import { TemporaryRealms } from "./temporaryRealms.ts"

const watched = Layer.unwrap(Effect.map(TemporaryRealms, (places) => Watcher.layer(places))).pipe(
  Layer.provideMerge(TemporaryRealms.layer)
)

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Watcher | TemporaryRealms>) =>
  it.live(name, () => Effect.provide(test(), Layer.fresh(watched)), 30_000)

const at = (...names: ReadonlyArray<string>) => Effect.map(TemporaryRealms, ({ notes }) => path.join(notes, ...names))

const write = (name: string, text = "x") =>
  Effect.flatMap(at(name), (file) =>
    Effect.promise(async () => {
      await fs.mkdir(path.dirname(file), { recursive: true })
      await fs.writeFile(file, text)
    }))

const covers = (hint: Hint | undefined, file: string) =>
  hint === "all" || hint?.some((each) => each === file || file.startsWith(`${each}/`)) === true

/** Takes hints until they cover the file; answers how many it took. */
const hinted = Effect.fnUntraced(function*(file: string) {
  const { take } = yield* Watcher
  for (let taken = 1;; taken++) {
    const hints = yield* Effect.timeout(take, "5 seconds")
    if (covers(hints.get("notes"), file)) return taken
  }
})

live("edits, new directories, renames and removals are hinted at", () =>
  Effect.gen(function*() {
    assert.isTrue((yield* Watcher).isWatching())
    yield* write("a.ts")
    yield* hinted("a.ts")
    yield* write("a.ts", "in place")
    yield* hinted("a.ts")
    yield* write("deep/er/b.ts")
    yield* hinted("deep/er/b.ts")
    yield* write("deep/er/b.ts", "again")
    yield* hinted("deep/er/b.ts")
    const [deep, moved] = [yield* at("deep"), yield* at("moved")]
    yield* Effect.promise(() => fs.rename(deep, moved))
    yield* hinted("moved/er/b.ts")
    yield* write("moved/er/c.ts")
    yield* hinted("moved/er/c.ts")
    yield* Effect.promise(() => fs.rm(moved, { recursive: true }))
    yield* hinted("moved/er/c.ts")
    yield* write("moved/er/c.ts", "anew")
    yield* hinted("moved/er/c.ts")
  }))

live("a save through a temporary file, and many saves at once, are one hint", () =>
  Effect.gen(function*() {
    const { take } = yield* Watcher
    yield* write("a.ts", "one")
    yield* hinted("a.ts")
    const [temporary, backup, file] = [yield* at("a.ts.tmp.77"), yield* at("a.ts~"), yield* at("a.ts")]
    yield* Effect.promise(async () => {
      for (let save = 0; save < 20; save++) {
        await fs.copyFile(file, backup)
        await fs.writeFile(temporary, String(save))
        await fs.rename(temporary, file)
      }
    })
    assert.deepStrictEqual((yield* take).get("notes"), ["a.ts"])
    assert.isTrue(Option.isNone(yield* Effect.timeoutOption(take, "300 millis")))
  }))

live("what is hidden or passing wakes nobody", () =>
  Effect.gen(function*() {
    const { realmsDir } = yield* TemporaryRealms
    const { take } = yield* Watcher
    for (const name of [".git/objects/x", ".env", "dir/.b.ts.swp"]) yield* write(name)
    yield* Effect.promise(() => fs.mkdir(path.join(realmsDir, ".lockstep-batch-notes-1")))
    yield* Effect.promise(() => fs.writeFile(path.join(realmsDir, ".lockstep-batch-notes-1", "0"), ""))
    // The directory itself may be seen, which holds nothing.
    const hints = yield* Effect.timeoutOption(take, "500 millis")
    if (Option.isSome(hints)) {
      assert.deepStrictEqual(Array.from(hints.value), [["notes", ["dir"]]])
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(take, "300 millis")))
    }
  }))

live("a burst is hinted at as the whole realm: the system may have lost names (I7)", () =>
  Effect.gen(function*() {
    const { take } = yield* Watcher
    const directory = yield* at("many")
    yield* Effect.promise(async () => {
      await fs.mkdir(directory)
      for (let index = 0; index < 1000; index++) await fs.writeFile(path.join(directory, `${index}.ts`), "x")
    })
    const kinds = new Set<string>()
    let rounds = 0
    while (true) {
      const hints = yield* Effect.timeoutOption(take, "1 second")
      if (Option.isNone(hints)) break
      kinds.add(typeof hints.value.get("notes"))
      rounds++
    }
    assert.include(Array.from(kinds), "string")
    assert.isBelow(rounds, 20)
  }))

it.live("a directory that cannot be watched is said so, and does not keep a replica from starting", () =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Watcher.layer({ realmsDir: "/nowhere/at/all" }))
    const { isWatching } = yield* Effect.provide(Watcher, context)
    assert.isFalse(isWatching())
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
