import { assert, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const source = fileURLToPath(new URL("../../src/", import.meta.url))

/** Source files, by their path below src, in which the pattern occurs outside of comments. */
const filesWith = (pattern: RegExp): ReadonlyArray<string> =>
  fs.readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .filter((name) => pattern.test(withoutComments(fs.readFileSync(path.join(source, name), "utf8"))))
    .map((name) => name.split(path.sep).join("/"))
    .toSorted()

const withoutComments = (text: string) => text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "")

// S23: every place that changes what a realm is or holds, by the operation that moves its generation.
const places: ReadonlyArray<
  { readonly what: string; readonly pattern: RegExp; readonly files: ReadonlyArray<string> }
> = [
  {
    what: "moves the generation of a realm that stays what it is",
    pattern: /\brealms\.advance\(/,
    files: ["lifecycle/Invalidation.ts"]
  },
  {
    what: "makes a realm live",
    pattern: /\brealms\.mount\(/,
    files: ["lifecycle/create.ts", "lifecycle/publish.ts", "realms/Reconciler.ts"]
  },
  { what: "ends a realm", pattern: /\brealms\.retire\(/, files: ["lifecycle/retire.ts"] },
  {
    what: "invalidates within a change of its own",
    pattern: /\binvalidation\.commit\(/,
    files: ["lifecycle/changeAccess.ts", "lifecycle/edit.ts", "lifecycle/finishBatches.ts", "lifecycle/notice.ts"]
  },
  {
    what: "invalidates because somebody asked",
    pattern: /\binvalidation\.invalidate\(/,
    files: ["http/management.ts", "lifecycle/invalidateDefinitions.ts"]
  },
  {
    what: "tells of a change when it is committed",
    pattern: /\binvalidation\.tell\(/,
    files: [
      "lifecycle/changeAccess.ts",
      "lifecycle/create.ts",
      "lifecycle/edit.ts",
      "lifecycle/finishBatches.ts",
      "lifecycle/notice.ts",
      "lifecycle/publish.ts",
      "lifecycle/retire.ts"
    ]
  },
  {
    what: "announces",
    pattern: /\bbarrier\.(?:announce|confirm)\(/,
    files: ["lifecycle/Invalidation.ts"]
  },
  {
    what: "stages, moves or discards files of a source realm",
    pattern: /\bfiles\.(?:stage|apply|discard)\(/,
    files: ["lifecycle/edit.ts", "lifecycle/finishBatches.ts"]
  },
  {
    what: "edits files of a source realm",
    pattern: /\beditFiles\(/,
    files: ["lifecycle/write.ts"]
  }
]

for (const { files, pattern, what } of places) {
  it(`nobody ${what} but ${files.join(", ")} (S23)`, () => {
    assert.deepStrictEqual(filesWith(pattern), files)
  })
}
