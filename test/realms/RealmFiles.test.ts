import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Result } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { link, notes, put, realmFiles, remove, TemporaryRealms, tree, write } from "./temporaryRealms.ts"

/** Every test has directories of its own, and the real clock. */
const live = <A, E>(name: string, test: () => Effect.Effect<A, E, RealmFiles | TemporaryRealms>) =>
  it.live(name, () => Effect.provide(test(), Layer.fresh(realmFiles)))

const text = (file: { readonly bytes: Uint8Array }) => Buffer.from(file.bytes).toString()

const readText = (file: string) => Effect.flatMap(RealmFiles, (files) => Effect.map(files.read(notes, file), text))

const makePipe = (file: string) => Effect.sync(() => execFileSync("mkfifo", [file]))

live("a file is read whole, with a stamp that its next change changes", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    yield* put("cards/person.gts", "one")
    const first = yield* files.read(notes, "cards/person.gts")
    assert.strictEqual(text(first), "one")
    assert.strictEqual(yield* files.stamp(notes, "cards/person.gts"), first.stamp)
    yield* write("cards/person.gts", Buffer.from("two"))
    assert.notStrictEqual(yield* files.stamp(notes, "cards/person.gts"), first.stamp)
    const second = yield* files.read(notes, "cards/person.gts")
    yield* put("cards/person.gts", "in place")
    assert.notStrictEqual(yield* files.stamp(notes, "cards/person.gts"), second.stamp)
  }))

live("what is not a file is not found, and never waited for", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const places = yield* TemporaryRealms
    yield* put("x.ts/inner.ts", "a directory may be named like a module")
    yield* put("file.ts", "a file")
    yield* makePipe(path.join(places.notes, "pipe.ts"))
    yield* link("around.ts", "around.ts")
    yield* link("nowhere.ts", "missing.ts")
    for (
      const file of [
        "missing.ts",
        "x.ts",
        "x.ts/",
        "",
        "file.ts/below.ts",
        "pipe.ts",
        "around.ts",
        "nowhere.ts",
        "x".repeat(300)
      ]
    ) {
      for (const look of [Effect.asVoid(files.read(notes, file)), Effect.asVoid(files.stamp(notes, file))]) {
        const error = yield* Effect.flip(Effect.timeout(look, "30 seconds"))
        assert.strictEqual(error._tag, "FileNotFound", file)
      }
    }
  }))

live("of several paths, those are present that a read may find something at", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    yield* put("a.ts", "a")
    yield* put("x.ts/inner.ts", "a directory may be named like a module")
    yield* link("link.ts", "a.ts")
    yield* link("around.ts", "around.ts")
    yield* link("nowhere.ts", "missing.ts")
    const asked = ["missing.ts", "link.ts", "around.ts", "a.ts", "a.ts/below.ts", "nowhere.ts", "x.ts", "y".repeat(300)]
    assert.deepStrictEqual(yield* files.present(notes, asked), ["link.ts", "a.ts", "x.ts"])
    assert.deepStrictEqual(yield* files.present({ ...notes, directory: "gone" }, asked), [])
    assert.deepStrictEqual(yield* files.present(notes, []), [])
  }))

live("links that leave the realm are not followed, in any way that they may be written", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const places = yield* TemporaryRealms
    yield* link("absolute.ts", path.join(places.outside, "secret.ts"))
    yield* link("relative.ts", "../../outside/secret.ts")
    yield* link("directory", places.outside)
    yield* link("chain.ts", "absolute.ts")
    yield* link("up", "..")
    // A sibling whose name begins with the realm's is outside as well.
    yield* Effect.promise(() => fs.mkdir(`${places.notes}-private`))
    yield* Effect.promise(() => fs.writeFile(path.join(`${places.notes}-private`, "secret.ts"), "secret"))
    yield* link("sibling", "../notes-private")
    const below = [
      "directory/secret.ts",
      "up/notes-private/secret.ts",
      "sibling/secret.ts",
      "../outside/secret.ts",
      "../notes-private/secret.ts"
    ]
    for (const file of ["absolute.ts", "relative.ts", "chain.ts", ...below]) {
      assert.strictEqual((yield* Effect.flip(files.read(notes, file)))._tag, "FileNotFound", file)
    }
    for (const file of below) {
      assert.strictEqual((yield* Effect.flip(remove(file)))._tag, "FileNotFound", file)
    }
    assert.strictEqual((yield* Effect.flip(files.list(notes, "directory")))._tag, "FileNotFound")
    assert.deepStrictEqual(yield* tree(places.outside), { "secret.ts": "export const secret = 1" })
  }))

live("links that stay in the realm are followed", () =>
  Effect.gen(function*() {
    yield* put("shared/person.ts", "shared")
    yield* link("person.ts", "shared/person.ts")
    yield* link("cards", "shared")
    assert.strictEqual(yield* readText("person.ts"), "shared")
    assert.strictEqual(yield* readText("cards/person.ts"), "shared")
  }))

live(
  "a realm whose directory is reached by a link is served where the link leads, and no further",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const places = yield* TemporaryRealms
      yield* put("x.ts", "notes")
      yield* link("out.ts", path.join(places.outside, "secret.ts"))
      yield* Effect.promise(() => fs.symlink("notes", path.join(places.realmsDir, "linked")))
      const linked = { ...notes, directory: "linked" }
      assert.strictEqual((yield* files.read(linked, "x.ts")).bytes.toString(), "notes")
      assert.strictEqual((yield* Effect.flip(files.read(linked, "out.ts")))._tag, "FileNotFound")
      yield* Effect.promise(async () => {
        await fs.unlink(path.join(places.realmsDir, "linked"))
        await fs.symlink(places.outside, path.join(places.realmsDir, "linked"))
      })
      assert.strictEqual((yield* Effect.flip(files.read(linked, "x.ts")))._tag, "FileNotFound")
      assert.strictEqual((yield* files.read(linked, "secret.ts")).bytes.toString(), "export const secret = 1")
    })
)

live(
  "a stamp follows the links as they lead now: one that is turned elsewhere is no hit",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const places = yield* TemporaryRealms
      yield* put("old/x.ts", "old")
      yield* put("new/x.ts", "new")
      yield* link("current", "old")
      const { stamp } = yield* files.read(notes, "current/x.ts")
      assert.strictEqual(yield* files.stamp(notes, "current/x.ts"), stamp)
      yield* Effect.promise(() => fs.rm(path.join(places.notes, "current")))
      yield* link("current", "new")
      assert.notStrictEqual(yield* files.stamp(notes, "current/x.ts"), stamp)
      yield* Effect.promise(() => fs.rm(path.join(places.notes, "current")))
      yield* link("current", places.outside)
      assert.strictEqual((yield* Effect.flip(files.stamp(notes, "current/x.ts")))._tag, "FileNotFound")
    })
)

live(
  "a directory lists files and directories by name, without dotfiles, links and pipes",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const places = yield* TemporaryRealms
      for (const file of ["b.ts", "a.json", "dir/x.ts", ".env", ".git/config"]) yield* put(file, "")
      yield* makePipe(path.join(places.notes, "pipe"))
      yield* link("link.ts", "b.ts")
      assert.deepStrictEqual(yield* files.list(notes, ""), [
        { name: "a.json", kind: "file" },
        { name: "b.ts", kind: "file" },
        { name: "dir", kind: "directory" }
      ])
      assert.strictEqual((yield* Effect.flip(files.list(notes, "b.ts")))._tag, "FileNotFound")
      assert.strictEqual((yield* Effect.flip(files.list(notes, "missing")))._tag, "FileNotFound")
    })
)

live("a write creates what is needed, and says whether it replaced", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* write("a/b/c.ts", Buffer.from("one")), "created")
    assert.strictEqual(yield* write("a/b/c.ts", Buffer.from("two")), "replaced")
    assert.strictEqual(yield* readText("a/b/c.ts"), "two")
  }))

live("a write replaces a link and a pipe, not what they lead to", () =>
  Effect.gen(function*() {
    const places = yield* TemporaryRealms
    yield* link("out.ts", path.join(places.outside, "secret.ts"))
    yield* makePipe(path.join(places.notes, "pipe.ts"))
    for (const file of ["out.ts", "pipe.ts"]) {
      yield* write(file, Buffer.from("mine"))
      assert.strictEqual(yield* readText(file), "mine")
    }
    assert.deepStrictEqual(yield* tree(places.outside), { "secret.ts": "export const secret = 1" })
  }))

live("a write that cannot be done leaves nothing behind, inside the realm or out of it", () =>
  Effect.gen(function*() {
    const places = yield* TemporaryRealms
    yield* put("dir/x.ts", "a file")
    yield* link("away", places.outside)
    yield* link("up", "..")
    const before = [yield* tree(places.realmsDir), yield* tree(places.outside)]
    for (
      const file of [
        "dir",
        "dir/x.ts/below.ts",
        "dir/x.ts/below/it.ts",
        "away/new.ts",
        "away/new/directory/x.ts",
        "up/x/y.ts"
      ]
    ) {
      assert.strictEqual((yield* Effect.flip(write(file, Buffer.from(""))))._tag, "FileConflict", file)
    }
    const tooLong = yield* Effect.flip(write("x".repeat(300), Buffer.from("")))
    assert.include(["FileFailure", "FileConflict"], tooLong._tag)
    assert.deepStrictEqual([yield* tree(places.realmsDir), yield* tree(places.outside)], before)
  }))

live(
  "readers during a write see the old bytes or the new, and nothing is left beside them",
  () =>
    Effect.gen(function*() {
      const places = yield* TemporaryRealms
      const [old, young] = ["o".repeat(500_000), "y".repeat(700_000)]
      yield* write("big.ts", Buffer.from(old))
      const reader = yield* Effect.forkChild(Effect.forEach(Array.from({ length: 40 }), () => readText("big.ts")))
      for (let round = 0; round < 10; round++) {
        yield* write("big.ts", Buffer.from(round % 2 === 0 ? young : old))
      }
      for (const seen of yield* Fiber.join(reader)) assert.isTrue(seen === old || seen === young)
      assert.deepStrictEqual(Object.keys(yield* tree(places.realmsDir)).toSorted(), ["notes/", "notes/big.ts"])
    })
)

live("a file is removed by its own name, and a directory is not", () =>
  Effect.gen(function*() {
    const places = yield* TemporaryRealms
    yield* put("dir/x.ts", "")
    yield* link("out.ts", path.join(places.outside, "secret.ts"))
    for (const file of ["missing.ts", "dir", "dir/x.ts/below", "missing/x.ts"]) {
      assert.strictEqual((yield* Effect.flip(remove(file)))._tag, "FileNotFound", file)
    }
    yield* remove("dir/x.ts")
    yield* remove("out.ts")
    assert.deepStrictEqual(yield* tree(places.notes), { "dir/": "" })
    assert.deepStrictEqual(yield* tree(places.outside), { "secret.ts": "export const secret = 1" })
  }))

live(
  "a snapshot has what is served: no dotfiles, no links that leave, no pipes, and no way round in circles",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const places = yield* TemporaryRealms
      yield* put("a.ts", "a")
      yield* put("deep/er/b.ts", "b")
      yield* put(".env", "secret")
      yield* put(".git/config", "secret")
      yield* put(".well-known/x.json", "{}")
      yield* Effect.promise(() => fs.mkdir(path.join(places.notes, "empty")))
      yield* link("linked.ts", "deep/er/b.ts")
      yield* link("linked", "deep")
      yield* link("out.ts", path.join(places.outside, "secret.ts"))
      yield* link("out", places.outside)
      yield* link("nowhere.ts", "missing.ts")
      yield* link("around", "around")
      yield* link("deep/loop", "..")
      yield* link("deep/er/self", ".")
      yield* makePipe(path.join(places.notes, "pipe"))
      const name = "a-version"
      yield* Effect.timeout(files.snapshot(notes, name), "60 seconds")
      assert.deepStrictEqual(yield* tree(path.join(places.versionsDir, name)), {
        "a.ts": "a",
        "deep/": "",
        "deep/er/": "",
        "deep/er/b.ts": "b",
        "empty/": "",
        "linked.ts": "b",
        "linked/": "",
        "linked/er/": "",
        "linked/er/b.ts": "b",
        ".well-known/": "",
        ".well-known/x.json": "{}"
      })
      const version = { realmUrl: notes.realmUrl, kind: "published", directory: name } as const
      assert.strictEqual(text(yield* files.read(version, "deep/er/b.ts")), "b")
    })
)

live("a snapshot keeps its bytes when the source is edited in place", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    yield* put("a.ts", "one")
    const version = { realmUrl: notes.realmUrl, kind: "published", directory: "a-version" } as const
    yield* files.snapshot(notes, version.directory)
    yield* put("a.ts", "two")
    assert.strictEqual(text(yield* files.read(version, "a.ts")), "one")
    assert.strictEqual((yield* Effect.flip(files.read(version, "b.ts")))._tag, "FileNotFound")
    assert.strictEqual(yield* readText("a.ts"), "two")
  }))

live(
  "a version that is removed is gone at once: its files are not missing one by one (I1)",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      for (let index = 0; index < 300; index++) yield* put(`dir${index % 3}/${index}.ts`, String(index))
      const version = { realmUrl: notes.realmUrl, kind: "published", directory: "a-version" } as const
      for (let round = 0; round < 3; round++) {
        yield* files.snapshot(notes, version.directory)
        const removing = yield* Effect.forkChild(files.removeVersion(version.directory), { startImmediately: true })
        const failures = new Set<string>()
        for (let index = 0; removing.pollUnsafe() === undefined; index = (index + 1) % 300) {
          const read = yield* Effect.result(files.read(version, `dir${index % 3}/${index}.ts`))
          if (Result.isFailure(read)) failures.add(read.failure._tag)
        }
        yield* Fiber.join(removing)
        const gone = yield* Effect.flip(files.read(version, "dir0/0.ts"))
        assert.include(gone.message, "is not on disk any more")
        // Nor is an alias one that stands for nothing.
        assert.strictEqual((yield* Effect.flip(files.present(version, ["dir0/0.gts"])))._tag, "FileFailure")
        assert.deepStrictEqual(Array.from(failures.add(gone._tag)), ["FileFailure"])
      }
      assert.deepStrictEqual(yield* tree((yield* TemporaryRealms).versionsDir), {})
    })
)

live("a snapshot that fails leaves nothing, and names the file", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const places = yield* TemporaryRealms
    for (let index = 0; index < 50; index++) yield* put(`dir/${index}.ts`, "x".repeat(10_000))
    // A name that fits the source's file system, below a path that does not fit the copy's.
    const missing = { ...notes, directory: "missing" }
    assert.strictEqual((yield* Effect.flip(files.snapshot(missing, "a-version")))._tag, "FileFailure")
    assert.deepStrictEqual(yield* tree(places.versionsDir), {})
  }))

live(
  "a snapshot that is interrupted, whenever that is, appears whole or leaves nothing behind",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const places = yield* TemporaryRealms
      for (let index = 0; index < 6; index++) yield* put(`dir${index % 3}/${index}.ts`, "x".repeat(50_000))
      // How long one takes, unless the machine stands still meanwhile.
      let whole = Infinity
      for (const name of ["first", "second", "third"]) {
        const [took] = yield* Effect.timed(files.snapshot(notes, name))
        whole = Math.min(whole, Duration.toMillis(took))
        yield* files.removeVersion(name)
      }
      for (let part = 0; part <= 30; part++) {
        const copy = yield* Effect.forkChild(files.snapshot(notes, "a-version"), { startImmediately: true })
        yield* Effect.sleep(whole * part / 26)
        yield* Fiber.interrupt(copy)
        // What is still being written would show up a little later.
        yield* Effect.sleep(2)
        const left = yield* tree(places.versionsDir)
        const copied = Object.keys(left).filter((name) => name.startsWith("a-version/") && name.endsWith(".ts"))
        if (Object.keys(left).length > 0) assert.strictEqual(copied.length, 6, `after ${part} of 26 parts`)
        assert.notInclude(Object.keys(left).join(" "), ".lockstep-", `after ${part} of 26 parts`)
        yield* files.removeVersion("a-version")
      }
    })
)

live("source realms are the directories, without hidden ones, files and links", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const places = yield* TemporaryRealms
    yield* Effect.promise(async () => {
      await fs.mkdir(path.join(places.realmsDir, "my notes"))
      await fs.mkdir(path.join(places.realmsDir, ".hidden"))
      await fs.writeFile(path.join(places.realmsDir, "file"), "")
      await fs.symlink(places.outside, path.join(places.realmsDir, "link"))
    })
    assert.deepStrictEqual((yield* files.sources).toSorted(), ["my notes", "notes"])
  }))

live(
  "a source realm is created empty or from a copy, keeps what is there, and can be removed",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const places = yield* TemporaryRealms
      yield* put("a.ts", "a")
      yield* files.createSource("notes", undefined)
      assert.strictEqual(yield* readText("a.ts"), "a")
      yield* files.createSource("copy", places.notes)
      assert.deepStrictEqual(yield* tree(path.join(places.realmsDir, "copy")), { "a.ts": "a" })
      assert.strictEqual(
        (yield* Effect.flip(files.createSource("broken", path.join(places.outside, "missing"))))._tag,
        "FileFailure"
      )
      yield* files.removeSource("copy")
      yield* files.removeSource("copy")
      assert.deepStrictEqual((yield* files.sources).toSorted(), ["notes"])
      assert.deepStrictEqual(Object.keys(yield* tree(places.realmsDir)).toSorted(), ["notes/", "notes/a.ts"])
    })
)
