import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet } from "../../support/fleet.ts"
import { expectStatus } from "./expectations.ts"

layer(Fleet.layer({ replicas: 1 }), { excludeTestServices: true })("pages", (it) => {
  const asPage = { headers: { accept: "text/html" } }

  it.effect("name what their modules import, as far as it is known, and no more than that", () =>
    Effect.gen(function*() {
      const { first, publish, realm, unused } = yield* Fleet
      const mark = `// ${randomUUID()}`
      const source = yield* realm({
        "index.html": `<!doctype html><script src=classic.js></script>
          <script type="module" src="./main.ts"></script><script src='deep/b' type='module' async></script>`,
        "main.ts": `import "./deep/a.ts"\nimport "https://elsewhere.example/x.js"\nimport "bare"\n${mark}`,
        "deep/a.ts": `import "../c d"\n${mark}`,
        "deep/b.ts": `import "./a.ts"\nimport "../main.ts"\n${mark}`,
        "c d.ts": mark,
        "classic.js": mark,
        "other.html": "<p>nothing</p>"
      })
      const link = (path: string) =>
        Effect.map(first.ask(path, asPage), (answer) => expectStatus(answer, 200).headers["link"])
      const at = (prefix: string, names: ReadonlyArray<string>) =>
        names.map((name) => `<${prefix}${name}>; rel=modulepreload`).join(", ")
      const whole = ["main.ts", "deep/b", "deep/a.ts", "c%20d"]

      // Nothing was made yet: what the page itself says.
      assert.strictEqual(yield* link(source.path("")), at(source.path(""), ["main.ts", "deep/b"]))
      for (const file of ["main.ts", "deep/b", "deep/a.ts", "c%20d"]) {
        expectStatus(yield* first.ask(source.path(file)), 200)
      }
      assert.strictEqual(yield* link(source.path("")), at(source.path(""), whole))
      assert.strictEqual(yield* link(source.path("index.html")), at(source.path(""), whole))
      assert.isUndefined(yield* link(source.path("other.html")))

      // A publication's page is kept finished only when its graph is known.
      const target = unused()
      const { generation } = expectStatus(yield* publish(source, target), 202).json
      yield* eventually("the page names all", link(target.path("")), (said) => said === at(target.path(""), whole))
      assert.strictEqual(yield* link(target.path("")), at(target.path(""), whole))
      const version = `${target.path("")}@${String(generation)}/`
      const immutable = eventually("the version names all", link(version), (said) => said === at(version, whole))
      for (const file of whole) expectStatus(yield* first.ask(version + file), 200)
      yield* immutable
    }))

  it.effect("a thousand modules are no header", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const scripts = Array.from({ length: 1000 }, (_, n) => `<script type=module src=m${n}.js></script>`)
      const source = yield* realm({ "index.html": scripts.join("") })
      const answer = expectStatus(yield* first.ask(source.path(""), asPage), 200)
      assert.strictEqual(String(answer.headers["link"]).split(", ").length, 64)
    }))
})
