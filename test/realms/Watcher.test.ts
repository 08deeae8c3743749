import { assert, it } from "@effect/vitest"
import { type Duration, Effect, Fiber, Layer, Logger, Option } from "effect"
import * as nodeFs from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { type Hint, type Hints, Watcher } from "../../src/realms/Watcher.ts"
import { TemporaryRealms } from "./temporaryRealms.ts"

const watched = Layer.unwrap(Effect.map(TemporaryRealms, (places) => Watcher.layer(places))).pipe(
  Layer.provideMerge(TemporaryRealms.layer)
)

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Watcher | TemporaryRealms>) =>
  it.live(name, () =>
    Effect.gen(function*() {
      const { isWatching, take } = yield* Watcher
      assert.strictEqual(yield* Effect.timeout(take, "60 seconds"), "all")
      assert.isTrue(isWatching())
      yield* test()
    }).pipe(Effect.provide(Layer.fresh(watched))))

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
    const hints = yield* Effect.timeout(take, "60 seconds")
    if (covers(hintFor(hints, "notes"), file)) return taken
  }
})

/** These hints and those that follow them, until there are none for this long. */
const takenOf = Effect.fnUntraced(function*(first: Hints, silence: Duration.Input) {
  const { take } = yield* Watcher
  const taken: Array<Hints> = []
  let next = Option.some(first)
  while (Option.isSome(next)) {
    taken.push(next.value)
    next = yield* Effect.timeoutOption(take, silence)
  }
  return taken
})

/** Takes what there is, until the disk has been quiet for a moment. */
const drained = Effect.gen(function*() {
  const { take } = yield* Watcher
  let next = yield* Effect.timeoutOption(take, "70 millis")
  while (Option.isSome(next)) next = yield* Effect.timeoutOption(take, "70 millis")
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
      const taken = yield* takenOf(yield* Effect.timeout(take, "60 seconds"), "500 millis")
      for (const hints of taken) assert.deepStrictEqual(hintFor(hints, "notes"), ["a.ts"])
      // One, unless the machine was so busy that the disk was quiet between two saves.
      assert.isBelow(taken.length, 5)
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
    const taken = yield* takenOf(yield* Effect.timeout(take, "60 seconds"), "1 second")
    assert.include(taken.map((hints) => hintFor(hints, "notes")), "all")
    assert.isBelow(taken.length, 20)
  }))

live(
  "after more events than the system may have kept, everything is watched anew, and hinted at",
  () =>
    Effect.gen(function*() {
      const { take } = yield* Watcher
      const file = yield* at("a.ts")
      yield* Effect.promise(async () => {
        for (let save = 0; save < 2000; save++) {
          nodeFs.writeFileSync(file, "x")
          nodeFs.rmSync(file)
          if (save % 20 === 0) await sleep(1)
        }
      })
      let next = yield* Effect.timeout(take, "60 seconds")
      while (next !== "all") next = yield* Effect.timeout(take, "60 seconds")
      yield* write("deep/b.ts")
      yield* hinted("deep/b.ts")
    })
)

for (const pause of [0, 1, 20]) {
  live(
    `directories that are removed and made again at once, ${pause} ms apart, are watched`,
    () =>
      Effect.gen(function*() {
        const { isWatching, take } = yield* Watcher
        const { notes } = yield* TemporaryRealms
        const names = ["a.ts", "sub/b.ts", "sub/deep/c.ts"]
        const again = (...below: ReadonlyArray<string>) =>
          Effect.promise(async () => {
            nodeFs.rmSync(path.join(notes, ...below), { recursive: true })
            if (pause > 0) await sleep(pause)
            for (const name of names) {
              nodeFs.mkdirSync(path.dirname(path.join(notes, name)), { recursive: true })
              nodeFs.writeFileSync(path.join(notes, name), "again")
            }
          })
        for (const name of names) yield* write(name)
        for (let round = 0; round < 20; round++) {
          for (const below of [[], ["sub"], ["sub", "deep"]]) {
            yield* again(...below)
            // What was told of the removal says nothing of the edit.
            yield* drained
            for (const name of names) yield* write(name, `edited in round ${round}`)
            const awaited = new Set(names)
            while (awaited.size > 0) {
              const hint = hintFor(yield* Effect.timeout(take, "60 seconds"), "notes")
              for (const name of names) if (covers(hint, name)) awaited.delete(name)
            }
          }
        }
        assert.isTrue(isWatching())
      })
  )
}

live(
  "a directory that takes the name of another one is watched, and so is the other one",
  () =>
    Effect.gen(function*() {
      yield* write("x/deep/a.ts")
      const [x, y] = [yield* at("x"), yield* at("y")]
      for (let round = 0; round < 10; round++) {
        yield* Effect.sync(() => {
          nodeFs.rmSync(y, { recursive: true, force: true })
          nodeFs.renameSync(x, y)
          nodeFs.cpSync(y, x, { recursive: true })
        })
        yield* drained
        for (const name of ["x/deep/a.ts", "y/deep/a.ts"]) {
          yield* write(name, String(round))
          yield* hinted(name)
        }
      }
    })
)

live("writes that stream are one hint, with pauses that a busy machine makes", () =>
  Effect.gen(function*() {
    const { take } = yield* Watcher
    const file = yield* at("a.ts")
    yield* write("a.ts")
    yield* hinted("a.ts")
    const trial = Effect.gen(function*() {
      let hints = 0
      const taking = yield* Effect.forkChild(Effect.forever(Effect.map(take, () => hints++)))
      const save = () => fs.writeFile(file, "x")
      yield* Effect.promise(async () => {
        // Half a second without a pause, then some that are longer than those between two saves.
        for (const began = performance.now(); performance.now() - began < 500;) {
          await save()
          await sleep(5)
        }
        for (let saves = 0; saves < 8; saves++) {
          await sleep(60)
          await save()
        }
      })
      // The last hint comes when the disk was quiet for a quarter of a second.
      yield* Effect.sleep("1 second")
      yield* Fiber.interrupt(taking)
      return hints
    })
    // A machine that stands still meanwhile makes longer pauses, in the writer or in the watch; but not each time.
    const hints = yield* Effect.repeat(trial, { until: (hints) => hints >= 1 && hints <= 3, times: 6 })
    assert.isAtLeast(hints, 1)
    assert.isAtMost(hints, 3)
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

it.live(
  "when the watch ends and cannot begin again, it says so: edits are looked for from then on",
  () =>
    Effect.gen(function*() {
      const { isWatching, take } = yield* Watcher
      const { realmsDir } = yield* TemporaryRealms
      yield* Effect.timeout(take, "60 seconds")
      yield* Effect.promise(() => fs.rename(realmsDir, `${realmsDir} gone`))
      yield* Effect.addFinalizer(() => Effect.promise(() => fs.rename(`${realmsDir} gone`, realmsDir)))
      // Something happens there, which makes it look.
      yield* Effect.promise(() => fs.writeFile(path.join(`${realmsDir} gone`, "notes", "a.ts"), "x"))
      for (let tries = 0; tries < 1200 && isWatching(); tries++) yield* Effect.sleep("50 millis")
      assert.isFalse(isWatching())
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(Layer.fresh(watched), Logger.layer([]))))
)
