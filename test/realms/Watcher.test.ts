import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger, Option } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { type Hint, type Hints, Watcher } from "../../src/realms/Watcher.ts"
import { TemporaryRealms } from "./temporaryRealms.ts"

const watched = Layer.unwrap(Effect.map(TemporaryRealms, (places) => Watcher.layer(places))).pipe(
  Layer.provideMerge(TemporaryRealms.layer)
)

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Watcher | TemporaryRealms>) =>
  it.live(name, () =>
    Effect.gen(function*() {
      const { isWatching, take } = yield* Watcher
      assert.strictEqual(yield* Effect.timeout(take, "10 seconds"), "all")
      assert.isTrue(isWatching())
      yield* test()
    }).pipe(Effect.provide(Layer.fresh(watched))), 30_000)

const at = (...names: ReadonlyArray<string>) => Effect.map(TemporaryRealms, ({ notes }) => path.join(notes, ...names))

const write = (name: string, text = "x") =>
  Effect.flatMap(at(name), (file) =>
    Effect.promise(async () => {
      await fs.mkdir(path.dirname(file), { recursive: true })
      await fs.writeFile(file, text)
    }))

const hintFor = (hints: Hints, realm: string) => hints === "all" ? hints : hints.get(realm)

const covers = (hint: Hint | undefined, file: string) =>
  hint === "all" || hint?.some((each) => each === file || file.startsWith(`${each}/`)) === true

/** Takes hints until they cover the file; answers how many it took. */
const hinted = Effect.fnUntraced(function*(file: string) {
  const { take } = yield* Watcher
  for (let taken = 1;; taken++) {
    const hints = yield* Effect.timeout(take, "5 seconds")
    if (covers(hintFor(hints, "notes"), file)) return taken
  }
})

live("edits, new directories, renames and removals are hinted at", () =>
  Effect.gen(function*() {
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

live(
  "saves through a temporary file are hints of the file, and many at once are few hints",
  () =>
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
      let hints = 0
      while (true) {
        const next = yield* Effect.timeoutOption(take, "500 millis")
        if (Option.isNone(next)) break
        assert.deepStrictEqual(hintFor(next.value, "notes"), ["a.ts"])
        hints++
      }
      assert.isAtLeast(hints, 1)
      // One, unless the machine was so busy that the disk was quiet between two saves.
      assert.isBelow(hints, 5)
    })
)

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
      assert.deepStrictEqual(Array.from(hints.value === "all" ? [] : hints.value), [["notes", ["dir"]]])
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
      kinds.add(typeof hintFor(hints.value, "notes"))
      rounds++
    }
    assert.include(Array.from(kinds), "string")
    assert.isBelow(rounds, 20)
  }))

live("links in circles, and what may not be read, are hinted at and harm nobody", () =>
  Effect.gen(function*() {
    const { isWatching } = yield* Watcher
    const [circle, self, a] = [yield* at("circle.ts"), yield* at("self"), yield* at("a.ts")]
    yield* Effect.promise(() => fs.symlink("circle.ts", circle))
    yield* hinted("circle.ts")
    yield* Effect.promise(() => fs.symlink(".", self))
    yield* hinted("self")
    // A file that is known becomes a circle: Node's watch throws, and is begun anew.
    yield* write("a.ts")
    yield* hinted("a.ts")
    yield* Effect.promise(async () => {
      await fs.symlink("a.ts", `${a}.next`)
      await fs.rename(`${a}.next`, a)
    })
    yield* hinted("a.ts")
    yield* write("b.ts")
    yield* hinted("b.ts")
    assert.isTrue(isWatching())
  }))

it.live("a directory that cannot be watched is said so, and does not keep a replica from starting", () =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Watcher.layer({ realmsDir: "/nowhere/at/all" }))
    const { isWatching } = yield* Effect.provide(Watcher, context)
    assert.isFalse(isWatching())
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
