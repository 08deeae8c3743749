import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet, post } from "../../support/fleet.ts"
import { expectProblem, expectStatus, generationOf } from "../main-job/expectations.ts"
import { asHtml, counter, htmlOf, modules, person, ready, stored } from "./people.ts"

layer(Fleet.layer({ replicas: 1 }), { excludeTestServices: true })(
  "stored renderings",
  (it) => {
    it.effect("an instance is served as HTML with an entity tag of its own, under a policy that lets it do nothing", () =>
      Effect.gen(function*() {
        const { first, publish, realm, unused } = yield* Fleet
        const source = yield* realm({ ...modules(1), "ada.json": person("ada"), "data.json": "{}" })
        const target = unused()
        const generation = expectStatus(yield* publish(source, target), 202).json["generation"]
        yield* ready(first, target)
        const answer = expectStatus(yield* first.ask(target.path("ada"), asHtml), 200)
        assert.strictEqual(answer.text, htmlOf(1, "ada"))
        assert.strictEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        assert.strictEqual(generationOf(answer), generation)
        assert.strictEqual(answer.headers["vary"], "accept, accept-encoding")
        const policy = answer.headers["content-security-policy"] ?? ""
        assert.match(String(policy), /default-src 'none'.*; sandbox$/)
        assert.notMatch(String(policy), /script|unsafe-eval|allow-/)
        const withName = expectStatus(yield* first.ask(target.path("ada.json"), asHtml), 200)
        assert.strictEqual(withName.headers["etag"], answer.headers["etag"])
        const rather = { headers: { accept: "application/json, text/html;q=0.1" } }
        assert.strictEqual(expectStatus(yield* first.ask(target.path("ada.json"), rather), 200).text, person("ada"))
        const json = expectStatus(yield* first.ask(target.path("ada.json")), 200)
        assert.strictEqual(json.text, person("ada"))
        assert.notStrictEqual(json.headers["etag"], answer.headers["etag"])
        const etag = String(answer.headers["etag"])
        assert.match(etag, /^"/)
        const again = yield* first.ask(target.path("ada"), { headers: { ...asHtml.headers, "if-none-match": etag } })
        assert.strictEqual(expectStatus(again, 304).text, "")
        const head = expectStatus(yield* first.ask(target.path("ada"), { ...asHtml, method: "HEAD" }), 200)
        assert.strictEqual(head.headers["etag"], etag)
        assert.strictEqual(head.text, "")
        // What is no instance is as it was, also for a browser.
        assert.strictEqual(expectStatus(yield* first.ask(target.path("data.json"), asHtml), 200).text, "{}")
        assert.include(expectStatus(yield* first.ask(target.path("person"), asHtml), 200).text, "class Person")
        const index = expectStatus(yield* first.ask(target.path("_index?path=ada")), 200).json
        assert.strictEqual(index["isolated_html"], htmlOf(1, "ada"))
        assert.strictEqual(index["generation"], generation)
        expectProblem(yield* first.ask(target.path("_index?path=nobody")), 404)
        expectProblem(yield* first.ask(target.path("_index?path=person")), 404)
        expectProblem(yield* first.ask(target.path("_index")), 400)
      }))

    it.effect("only what has changed is rendered again, what is gone goes, and an unpublish takes all", () =>
      Effect.gen(function*() {
        const { first, publish, realm, unused } = yield* Fleet
        const names = ["ada", "barbara", "grace", "katherine"]
        const source = yield* realm({
          ...modules(1),
          ...Object.fromEntries(names.map((name) => [`${name}.json`, person(name)])),
          "alone.ts": "export const isolated = () => '<hr>'"
        })
        const target = unused()
        // How many were rendered and how many carried over, and what there is then. The counters of the replica would also
        // count the source realm's renderings, which an edit asks for too.
        const publishAgain = Effect.gen(function*() {
          const before = new Map((yield* stored(target)).map((row) => [row.path, row.indexed_at]))
          const { generation } = expectStatus(yield* publish(source, target), 202).json
          yield* ready(first, target)
          const rows = yield* stored(target)
          assert.deepStrictEqual(new Set(rows.map((row) => row.generation)), new Set([generation]))
          const kept = rows.filter((row) => row.indexed_at === before.get(row.path)).length
          return [rows.length - kept, kept, rows.map((row) => row.path)] as const
        })
        const paths = ["ada.json", "alone.ts", "barbara.json", "grace.json", "katherine.json"]
        assert.deepStrictEqual(yield* publishAgain, [5, 0, paths])
        assert.deepStrictEqual(yield* publishAgain, [0, 5, paths])
        yield* source.edit({ "ada.json": person("Ada") })
        assert.deepStrictEqual(yield* publishAgain, [1, 4, paths])
        // A module that all four were made from, by way of another.
        yield* source.edit({ "card.ts": modules(2)["card.ts"] ?? "" })
        assert.deepStrictEqual(yield* publishAgain, [4, 1, paths])
        // Another file takes the name that they import.
        yield* source.edit({ "card.gts": modules(3)["card.ts"] ?? "" })
        const taken = yield* publishAgain
        assert.deepStrictEqual(taken.slice(0, 2), [4, 1])
        yield* first.ask(source.path("card.gts"), { method: "DELETE" })
        yield* first.ask(source.path("grace.json"), { method: "DELETE" })
        assert.deepStrictEqual((yield* publishAgain)[2], paths.filter((path) => path !== "grace.json"))
        expectStatus(yield* post(first, "/_unpublish-realm", { publishedRealmURL: target.url }), 200)
        assert.deepStrictEqual(yield* stored(target), [])
      }))

    it.effect("a source realm's HTML is made when it is asked for, and never from before an edit on disk", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({ ...modules(1), "ada.json": person("ada") })
        const missing = yield* first.ask(source.path("ada"), asHtml)
        expectProblem(missing, 503)
        assert.strictEqual(missing.headers["retry-after"], "1")
        for (let version = 1; version <= 4; version++) {
          const answer = yield* eventually(
            "the HTML is there",
            first.ask(source.path("ada"), asHtml),
            ({ status }) => status !== 503
          )
          assert.strictEqual(expectStatus(answer, 200).text, htmlOf(version, "ada"))
          // Behind the server's back; the instance itself stays.
          yield* source.edit(modules(version + 1))
          const edited = yield* first.ask(source.path("ada"), asHtml)
          // It may have been made by now.
          if (edited.status === 200) assert.strictEqual(edited.text, htmlOf(version + 1, "ada"))
          else expectProblem(edited, 503)
        }
      }))

    it.effect("malicious and mistaken instances are error entries, and nothing else", () =>
      Effect.gen(function*() {
        const { first, publish, realm, unused } = yield* Fleet
        const bad: Readonly<Record<string, string>> = {
          loop: "for (;;) {}",
          string: "let s = 'x'.repeat(2 ** 28); return s + s + s + s",
          exit: "process.exit(0)",
          escaped: "URL.constructor('return process')().exit(0)",
          file: "return URL.constructor('return process')().getBuiltinModule('fs').readFileSync('/etc/passwd', 'utf8')",
          fetch: "return fetch('http://127.0.0.1/').then((answer) => answer.text())",
          throws: "throw new Error('no such colour')",
          syntax: "const const"
        }
        const files: Record<string, string> = { ...modules(1), "ada.json": person("ada"), "zoe.json": person("zoe") }
        for (const [name, body] of Object.entries(bad)) {
          files[`${name}-module.js`] = `export class Bad { static isolated() { ${body} } }`
          files[`${name}.json`] = person(name, { module: `./${name}-module`, name: "Bad" })
        }
        files["nowhere.json"] = person("nowhere", { module: "./nowhere", name: "Person" })
        files["elsewhere.json"] = person("elsewhere", { module: "https://elsewhere.example/x.js", name: "Person" })
        const source = yield* realm(files)
        const target = unused()
        const failed = yield* counter(first, "jobsFailed")
        expectStatus(yield* publish(source, target), 202)
        yield* ready(first, target)
        const rows = new Map((yield* stored(target)).map((row) => [row.path, row]))
        for (const name of ["ada", "zoe"]) assert.strictEqual(rows.get(`${name}.json`)?.isolated_html, htmlOf(1, name))
        for (const name of [...Object.keys(bad), "nowhere", "elsewhere"]) {
          const row = rows.get(`${name}.json`)
          assert.isNull(row?.isolated_html, name)
          assert.isString(row?.error, name)
        }
        const problem = yield* first.ask(target.path("throws"), asHtml)
        expectProblem(problem, 422)
        assert.include(problem.text, "no such colour")
        assert.strictEqual(yield* counter(first, "jobsFailed"), failed)
        // An edit mends it, also of a module that was not there.
        yield* source.edit({ "nowhere.ts": modules(1)["person.ts"] ?? "" })
        expectStatus(yield* publish(source, target), 202)
        yield* ready(first, target)
        const mended = (yield* stored(target)).find((row) => row.path === "nowhere.json")
        assert.strictEqual(mended?.isolated_html, htmlOf(1, "nowhere"))
      }))

    it.effect(
      "a realm is not ready while what it was made from in another realm has moved on",
      () =>
        Effect.gen(function*() {
          const { first, publish, realm, unused } = yield* Fleet
          const base = yield* realm({ "base.ts": "export const base = 1" })
          const source = yield* realm({
            "person.ts": `import { base } from "${base.url}base"
          export class Person { static isolated({ name }) { return name + base } }`,
            "ada.json": person("ada"),
            "grace.json": person("grace"),
            "alone.json": person("alone", { module: "./alone", name: "Alone" }),
            "alone.ts": "export class Alone { static isolated() { return 'alone' } }"
          })
          const target = unused()
          expectStatus(yield* publish(source, target), 202)
          yield* ready(first, target)
          assert.strictEqual(expectStatus(yield* first.ask(target.path("ada"), asHtml), 200).text, "ada1")
          yield* first.ask(base.path("base.ts"), { method: "PUT", body: "export const base = 2" })
          const moved = expectStatus(yield* first.ask(target.path("_readiness-check")), 503).json
          assert.deepInclude(moved, { ready: false, indexed: 3, total: 5 })
          // Asking has mended it: nobody has asked for the HTML.
          yield* ready(first, target)
          assert.strictEqual(expectStatus(yield* first.ask(target.path("ada"), asHtml), 200).text, "ada2")
          // A module that is gone is what it is made from now.
          yield* first.ask(base.path("base.ts"), { method: "DELETE" })
          const gone = yield* first.ask(target.path("_readiness-check"), { headers: { accept: "text/event-stream" } })
          assert.match(gone.text, /^data: \{"ready":false,"indexed":3,"total":5/m)
          yield* ready(first, target)
          expectProblem(yield* first.ask(target.path("ada"), asHtml), 422)
        })
    )

    it.effect(
      "a version that is read, as each reindex does, is not taken for a realm that has left",
      () =>
        Effect.gen(function*() {
          const { first, publish, realm, unused } = yield* Fleet
          const source = yield* realm({ ...modules(1), "ada.json": person("ada") })
          const target = unused()
          const generation = expectStatus(yield* publish(source, target), 202).json["generation"]
          yield* ready(first, target)
          expectStatus(yield* first.ask(target.path(`@${String(generation)}/person.ts`)), 200)
          const mounted = (yield* first.ask("/_status")).json["mounted"]
          assert.isArray(mounted)
          assert.include(mounted as ReadonlyArray<string>, target.url)
          assert.isFalse((mounted as ReadonlyArray<string>).some((url) => url.includes("@")), JSON.stringify(mounted))
          assert.notMatch(first.log(), /ounted \S*@/)
        })
    )

    it.effect("readiness tells of progress, also as events", () =>
      Effect.gen(function*() {
        const { first, publish, realm, sql, unused } = yield* Fleet
        const source = yield* realm({ ...modules(1), "ada.json": person("ada") })
        const target = unused()
        expectStatus(yield* publish(source, target), 202)
        yield* ready(first, target)
        const events = { headers: { accept: "text/event-stream" } }
        const done = expectStatus(yield* first.ask(target.path("_readiness-check"), events), 200)
        assert.match(String(done.headers["content-type"]), /^text\/event-stream/)
        assert.include(done.text, `data: {"ready":true}\n\n`)
        yield* sql(
          "UPDATE jobs SET state = 'dead', attempts = 8, indexed = 3, total = 10, error = 'no' WHERE realm_url = $1",
          [target.url]
        )
        const dead = yield* first.ask(target.path("_readiness-check"))
        assert.strictEqual(dead.status, 503)
        assert.deepInclude(dead.json, { ready: false, indexed: 3, total: 10, state: "dead", error: "no" })
        const status = yield* first.ask("/_status")
        assert.include(status.text, `"state":"dead"`)
        expectStatus(yield* post(first, "/_reindex", { realmURL: target.url }), 202)
        yield* ready(first, target)
        assert.notInclude((yield* first.ask("/_status")).text, `"state":"dead"`)
      }))
  }
)
