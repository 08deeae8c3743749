import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { SourceMap } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { eventually } from "../../support/eventually.ts"
import { Fleet, temporaryDirectory, writeFiles } from "../../support/fleet.ts"
import { gtsExample, withoutGtsPackages } from "../../support/gtsExample.ts"
import { expectStatus } from "../main-job/expectations.ts"

const page = readFileSync(new URL("../../../docs/PRESETS.md", import.meta.url), "utf8")

/** The files of a section of the page, by the name in each block's first line. */
const filesOf = (heading: string) => {
  const [, section = ""] = page.split(`\n## ${heading}\n`)
  const blocks = section.split("\n## ", 1)[0]!.matchAll(/```ts\n\/\/ (\S+)\n([^]*?)```/g)
  return Object.fromEntries(Array.from(blocks, ([, name, text]) => [name ?? "", text ?? ""]))
}

const withConfig = <A, E>(config: string, work: Effect.Effect<A, E, Fleet>) =>
  Effect.provide(work, Fleet.layer({ replicas: 1, args: ["--config", config] }))

const withFiles = <A, E>(files: Readonly<Record<string, string>>, work: Effect.Effect<A, E, Fleet>) =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory("lockstep-config-")
    yield* writeFiles(directory, files)
    return yield* withConfig(path.join(directory, "lockstep.config.ts"), work)
  }))

describe("a replica with a configuration file", () => {
  it.live("runs the preset that docs/PRESETS.md shows, and says of .gts what it needs", () =>
    withFiles(
      filesOf("A preset of your own"),
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({
          "stage.ts": "export const stage: string = import.meta.env.STAGE",
          "card.gts": "<template></template>"
        })
        const { text } = expectStatus(yield* first.ask(source.path("stage")), 200)
        assert.strictEqual(text, "export const stage = \"trial\";")
        const { json } = expectStatus(yield* first.ask(source.path("card.gts")), 422)
        assert.match(String(json["detail"]), /need the ember preset: install .*npm install --save-dev .*content-tag@4/)
      })
    ))

  it.live("runs the transpiler that docs/PRESETS.md shows", () =>
    withFiles(
      filesOf("A transpiler of your own"),
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({
          "a.ts": `import { b } from "./b.ts"\nexport const a: string = b`,
          "b.ts": "export enum Left { ToBabel }\nexport const b = 1"
        })
        const a = expectStatus(yield* first.ask(source.path("a.ts")), 200)
        assert.strictEqual(a.text, `import { b } from "./b.ts"\nexport const a         = b`)
        assert.include(expectStatus(yield* first.ask(source.path("b.ts")), 200).text, "Left[Left[\"ToBabel\"] = 0]")
        const map = expectStatus(yield* first.ask(source.path("a.ts.map")), 200)
        assert.deepInclude(new SourceMap(JSON.parse(map.text)).findEntry(1, 0), {
          originalLine: 1,
          originalSource: "a.ts"
        })
      })
    ))

  it.live.skipIf(withoutGtsPackages)(
    "serves the example's template modules, and follows what only templates import",
    () =>
      withConfig(
        fileURLToPath(new URL("lockstep.config.ts", gtsExample)),
        Effect.gen(function*() {
          const { first, publish, realm, unused } = yield* Fleet
          const example = Object.fromEntries(
            ["badge.gts", "button.gts", "card.gts", "gallery.gts", "initials.ts", "person.ts"].map((name) =>
              [name, readFileSync(new URL(`realms/cards/${name}`, gtsExample), "utf8")] as const
            )
          )
          const source = yield* realm({
            ...example,
            "index.html": "<!doctype html><script type=module src=./gallery.gts></script>"
          })
          const { text } = expectStatus(yield* first.ask(source.path("card")), 200)
          assert.include(text, "\"scope\": () => [Badge, years, Button]")
          const map = expectStatus(yield* first.ask(source.path("card.gts.map")), 200)
          assert.deepStrictEqual(map.json["sources"], ["card.gts"])
          const { json } = expectStatus(yield* first.ask(`${source.path("_definitions")}?module=gallery`), 200)
          assert.deepStrictEqual(json["imports"], ["./card.gts", "./person.ts"])

          // Nobody asks for what the template of a template's component uses: the warm-up finds it along the graph.
          expectStatus(yield* first.ask(source.path("gallery")), 200)
          const target = unused()
          expectStatus(yield* publish(source, target), 202)
          const link = Effect.map(
            first.ask(target.path(""), { headers: { accept: "text/html" } }),
            (answer) => String(expectStatus(answer, 200).headers["link"])
          )
          const all = ["gallery.gts", "card.gts", "badge.gts", "button", "initials.ts", "person.ts"]
          const said = yield* eventually("the page names all modules", link, (said) =>
            all.every((name) =>
              said.includes(`/${name}>`)
            ))
          assert.strictEqual(said.split(", ").length, all.length)
        })
      )
  )
})
