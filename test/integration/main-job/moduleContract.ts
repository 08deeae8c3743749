import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { gunzipSync } from "node:zlib"
import { Fleet } from "../../support/fleet.ts"
import { cacheOf, expectProblem, expectStatus, generationOf } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 1, 2, 0xff])
const sourceType = "application/vnd.lockstep.source"

/** Modules and files as clients see them (S33); holds for any fleet, one of one replica included. */
export const moduleContract = (it: Vitest.MethodsNonLive<Fleet>) => {
  it.effect("a module is JavaScript with a strong ETag that must be revalidated, and says where it came from", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "folder/person.ts": versioned(1) })
      for (const replica of all) {
        const answer = expectStatus(yield* replica.ask(source.path("folder/person.ts")), 200)
        assert.strictEqual(versionOf(answer.text), 1)
        assert.notInclude(answer.text, "interface")
        const { headers } = answer
        assert.strictEqual(headers["content-type"], "text/javascript; charset=utf-8")
        assert.strictEqual(headers["cache-control"], "public, max-age=0, must-revalidate")
        assert.match(headers.etag ?? "", /^"[^"]+"$/)
        assert.match(headers.vary ?? "", /accept\b.*accept-encoding/i)
        assert.strictEqual(headers["x-lockstep-canonical-path"], "folder/person.ts")
        assert.strictEqual(headers["x-lockstep-replica"], replica.replicaId)
        assert.isAtLeast(generationOf(answer), 1)
        assert.include(["l1", "l2", "joined", "transpiled"], cacheOf(answer))
      }
    }))

  it.effect("bytes come from a transpile first, then from memory, and at another replica from the shared table", () =>
    Effect.gen(function*() {
      const { first, realm, second } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const origins: Array<string> = []
      for (const replica of [first, first, second, second]) {
        origins.push(cacheOf(expectStatus(yield* replica.ask(source.path("person.ts")), 200)))
      }
      assert.deepStrictEqual(origins, ["transpiled", "l1", first === second ? "l1" : "l2", "l1"])
    }))

  it.effect("every replica gives the same bytes and tag, which return when the source does", () =>
    Effect.gen(function*() {
      const { all, first, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const tags: Array<string | undefined> = []
      for (const version of [1, 2, 1]) {
        yield* first.ask(source.path("person.ts"), { method: "PUT", body: versioned(version) })
        const answers = yield* Effect.forEach(all, (replica) => replica.ask(source.path("person.ts")))
        assert.strictEqual(new Set(answers.map((answer) => answer.text)).size, 1)
        assert.strictEqual(new Set(answers.map((answer) => answer.headers.etag)).size, 1)
        tags.push(answers[0]?.headers.etag)
      }
      assert.notStrictEqual(tags[0], tags[1])
      assert.strictEqual(tags[0], tags[2])
    }))

  it.effect("If-None-Match gives 304 without a body for the same representation only", () =>
    Effect.gen(function*() {
      const { first, realm, second } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1), "data.json": "{}" })
      const ask = (path: string, tag: string, more: Record<string, string> = {}) =>
        second.ask(source.path(path), { headers: { "if-none-match": tag, ...more } })
      for (const path of ["person.ts", "person", "person.ts?source", "data.json"]) {
        const { etag = "" } = expectStatus(yield* first.ask(source.path(path)), 200).headers
        for (const header of [etag, `"other", ${etag}`, `W/${etag}`, "*"]) {
          const answer = expectStatus(yield* ask(path, header), 304)
          assert.strictEqual(answer.body.length, 0)
          assert.strictEqual(answer.headers.etag, etag)
          assert.match(answer.headers.vary ?? "", /accept/i)
          assert.isDefined(answer.headers["cache-control"])
          generationOf(answer)
        }
        expectStatus(yield* ask(path, `"other"`), 200)
      }
      const { etag = "" } = (yield* first.ask(source.path("person.ts"))).headers
      // The JavaScript's tag says nothing of the source.
      expectStatus(yield* ask("person.ts", etag, { accept: sourceType }), 200)
      yield* first.ask(source.path("person.ts"), { method: "PUT", body: versioned(2) })
      assert.strictEqual(versionOf(expectStatus(yield* ask("person.ts", etag), 200).text), 2)
    }))

  it.effect("HEAD has the headers of GET and no body", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1), "data.json": "{\"a\":1}", "broken.ts": "const = 1" })
      for (const path of ["person.ts", "person", "person.ts?source", "data.json"]) {
        const get = expectStatus(yield* first.ask(source.path(path)), 200)
        const head = expectStatus(yield* first.ask(source.path(path), { method: "HEAD" }), 200)
        assert.strictEqual(head.body.length, 0)
        for (const name of ["content-type", "etag", "cache-control", "vary", "x-lockstep-generation"]) {
          assert.strictEqual(head.headers[name], get.headers[name], name)
        }
        assert.strictEqual(Number(head.headers["content-length"]), get.body.length)
      }
      expectStatus(yield* first.ask(source.path("broken.ts"), { method: "HEAD" }), 422)
      expectStatus(yield* first.ask(source.path("missing.ts"), { method: "HEAD" }), 404)
      expectStatus(yield* first.ask("/nobody/a.ts", { method: "HEAD" }), 404)
    }))

  it.effect("the source is had by Accept or ?source, byte for byte, under a tag of its own", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const text = `\uFEFF${versioned(1)}// ünïcödé \u{1F600}\r\n`
      const source = yield* realm({ "person.ts": text })
      for (const replica of all) {
        const module = expectStatus(yield* replica.ask(source.path("person.ts")), 200)
        for (const name of ["person.ts", "person"]) {
          const accepted = yield* replica.ask(source.path(name), { headers: { accept: sourceType } })
          const asked = yield* replica.ask(`${source.path(name)}?source`)
          for (const raw of [accepted, asked]) {
            assert.isTrue(expectStatus(raw, 200).body.equals(Buffer.from(text)))
            assert.match(raw.headers.etag ?? "", /^"[^"]+"$/)
            assert.notStrictEqual(raw.headers.etag, module.headers.etag)
            assert.match(raw.headers.vary ?? "", /accept/i)
            assert.notMatch(raw.headers["content-type"] ?? "", /javascript/)
          }
          assert.strictEqual(accepted.headers.etag, asked.headers.etag)
        }
      }
    }))

  it.effect("an extensionless name is the first module of .gts .ts .tsx .gjs .js ..., as files come and go", () =>
    Effect.gen(function*() {
      const { all, first, realm } = yield* Fleet
      const source = yield* realm({ "a.js": "export const from = \"js\"\n" })
      const expectFrom = Effect.fnUntraced(function*(file: string, from: string) {
        for (const replica of all) {
          const answer = expectStatus(yield* replica.ask(source.path("a")), 200)
          assert.include(answer.text, `"${from}"`)
          assert.strictEqual(answer.headers["x-lockstep-canonical-path"], file)
          assert.strictEqual(answer.headers["content-type"], "text/javascript; charset=utf-8")
        }
      })
      yield* expectFrom("a.js", "js")
      yield* first.ask(source.path("a.tsx?wait=all"), { method: "PUT", body: "export const from: string = \"tsx\"\n" })
      yield* expectFrom("a.tsx", "tsx")
      yield* first.ask(source.path("a.ts?wait=all"), { method: "PUT", body: "export const from: string = \"ts\"\n" })
      yield* expectFrom("a.ts", "ts")
      yield* source.edit({ "a.ts": "export const from: string = \"edited\"\n" })
      yield* expectFrom("a.ts", "edited")
      yield* first.ask(source.path("a.ts"), { method: "DELETE" })
      yield* expectFrom("a.tsx", "tsx")
      yield* first.ask(source.path("a?wait=all"), { method: "PUT", body: "no module" })
      for (const replica of all) assert.strictEqual((yield* replica.ask(source.path("a"))).text, "no module")
      yield* first.ask(source.path("a"), { method: "DELETE" })
      yield* first.ask(source.path("a.tsx"), { method: "DELETE" })
      yield* first.ask(source.path("a.js"), { method: "DELETE" })
      for (const replica of all) expectProblem(yield* replica.ask(source.path("a")), 404)
    }))

  it.effect("modules of each executable extension become JavaScript whose imports are as written", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({
        "view.tsx":
          "import { type Props, name } from \"./props\"\nexport const View = (p: Props) => <b title={name}>{p.n}</b>\n",
        "view.jsx": "import { name } from \"./props.js\"\nexport const View = () => <i>{name}</i>\n",
        "plain.js": "export const plain = 1\n",
        "plain.mjs": "export const plain = 1\n",
        "typed.mts": "export const typed: number = 1\n"
      })
      const text = (path: string) =>
        Effect.map(first.ask(source.path(path)), (answer) => expectStatus(answer, 200).text)
      const tsx = yield* text("view.tsx")
      assert.match(tsx, /import \{ name \} from "\.\/props"/)
      assert.match(tsx, /from "react\/jsx-runtime"/)
      assert.notMatch(tsx, /Props|<b/)
      assert.match(yield* text("view.jsx"), /from "\.\/props\.js"/)
      assert.strictEqual(yield* text("plain.js"), yield* text("plain.mjs"))
      assert.notInclude(yield* text("typed.mts"), "number")
    }))

  it.effect("other files are their bytes and type", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({
        "data.json": "{\"a\":1}",
        "image.png": png,
        "page.html": "<p>hi</p>",
        "style.css": "p {}",
        "notes.txt": "plain",
        "no-extension": "bytes",
        "empty.bin": ""
      })
      const types = {
        "data.json": /^application\/json/,
        "image.png": /^image\/png$/,
        "page.html": /^text\/html; charset=utf-8$/i,
        "style.css": /^text\/css/,
        "notes.txt": /^text\/plain/,
        "no-extension": /./,
        "empty.bin": /./
      }
      for (const replica of all) {
        for (const [name, type] of Object.entries(types)) {
          const answer = expectStatus(yield* replica.ask(source.path(name)), 200)
          assert.match(answer.headers["content-type"] ?? "", type)
          assert.match(answer.headers.etag ?? "", /^"[^"]+"$/)
        }
        assert.isTrue((yield* replica.ask(source.path("image.png"))).body.equals(Buffer.from(png)))
        assert.strictEqual((yield* replica.ask(source.path("empty.bin"))).body.length, 0)
      }
    }))

  it.effect("a directory is a JSON listing of the names in it", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "b.ts": "", "a.json": "{}", "folder/c.ts": "", "folder/deep/d.ts": "" })
      for (const replica of all) {
        const root = expectStatus(yield* replica.ask(source.path("")), 200)
        assert.match(root.headers["content-type"] ?? "", /^application\/json/)
        for (const name of ["a.json", "b.ts", "folder"]) assert.include(root.text, `"${name}`)
        const folder = expectStatus(yield* replica.ask(source.path("folder/")), 200)
        assert.include(folder.text, "c.ts")
        assert.include(folder.text, "deep")
        assert.notInclude(folder.text, "b.ts")
        generationOf(root)
        expectProblem(yield* replica.ask(source.path("nothing/")), 404)
      }
    }))

  it.effect("each encoding of a module has its own tag and the same bytes inside", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1).repeat(1) + "// filler\n".repeat(2000) })
      const plain = expectStatus(yield* first.ask(source.path("person.ts")), 200)
      assert.isUndefined(plain.headers["content-encoding"])
      const answer = expectStatus(
        yield* first.ask(source.path("person.ts"), { headers: { "accept-encoding": "gzip" } }),
        200
      )
      const encoded = answer.headers["content-encoding"] === "gzip"
      assert.isTrue((encoded ? gunzipSync(answer.body) : answer.body).equals(plain.body))
      assert.strictEqual(answer.headers.etag === plain.headers.etag, !encoded)
    }))

  it.effect("other query parameters and other hosts change nothing about which module is meant", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      for (const query of ["", "?", "?t=1", "?v=a&w=b/../..", "?%00"]) {
        assert.strictEqual(versionOf(expectStatus(yield* first.ask(source.path("person.ts") + query), 200).text), 1)
      }
      for (const host of ["realms.test", "REALMS.TEST", "localhost:1", "elsewhere.test", "[::1]:99"]) {
        const answer = yield* first.ask(source.path("person.ts"), { headers: { host } })
        assert.strictEqual(versionOf(expectStatus(answer, 200).text), 1)
      }
    }))
}
