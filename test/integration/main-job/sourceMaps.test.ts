import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SourceMap, type SourceMapPayload } from "node:module"
import { Fleet } from "../../support/fleet.ts"
import type { Answer } from "../../support/httpClient.ts"
import { expectProblem, expectStatus } from "./expectations.ts"

const thrower = (lines: number): string =>
  `${"export interface Filler {}\n".repeat(lines)}
const ünïcode: string = "𝒳"
export function fail(this: unknown, what: string | undefined): never {
  const detail = what as string; throw new Error(detail + ünïcode)
}
`

/** Where a module's code throws, as its map says: line and column of the source, from 1. */
const traced = (code: string, payload: SourceMapPayload) =>
  Effect.promise(async () => {
    const module = await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(code)}`)
    try {
      module.fail("x")
    } catch (error) {
      const [, line, column] = /data:text\/javascript.*?:(\d+):(\d+)\)?$/m.exec((error as Error).stack ?? "") ?? []
      return new SourceMap(payload).findOrigin(Number(line), Number(column))
    }
    return assert.fail("it did not throw")
  })

/** The map that an answer names, by the URL that it names it with. */
const mapUrl = (answer: Answer, requested: string) =>
  new URL(String(answer.headers["sourcemap"]), `http://realms.test${requested}`).pathname

const fleets = {
  "two replicas with Babel": Fleet.layer({ args: ["--workers", "1", "--no-watch"] }),
  "two replicas with oxc": Fleet.layer({ args: ["--workers", "1", "--no-watch", "--transpiler", "oxc"] })
}

for (const [name, fleet] of Object.entries(fleets)) {
  layer(fleet, { excludeTestServices: true })(`source maps of ${name}`, (it) => {
    it.effect("lead an error's place back to its source, by every name of a module and in every version", () =>
      Effect.gen(function*() {
        const { all, first, publish, realm, unused } = yield* Fleet
        const source = yield* realm({ "deep/a b.ts": thrower(3) })
        const target = unused()
        const { generation } = expectStatus(yield* publish(source, target), 202).json
        const maps = new Set<string>()
        for (const replica of all) {
          for (const path of ["deep/a%20b.ts", "deep/a%20b"]) {
            for (
              const requested of [
                source.path(path),
                target.path(path),
                `${target.path("")}@${String(generation)}/${path}`
              ]
            ) {
              const module = expectStatus(yield* replica.ask(requested), 200)
              assert.strictEqual(module.headers["sourcemap"], "a%20b.ts.map")
              assert.notInclude(module.text, "sourceMappingURL")
              const map = expectStatus(yield* replica.ask(mapUrl(module, requested)), 200)
              const payload = JSON.parse(map.text)
              assert.deepInclude(payload, { version: 3, sources: ["a%20b.ts"], sourcesContent: [thrower(3)] })
              assert.deepInclude(yield* traced(module.text, payload), {
                lineNumber: 7,
                columnNumber: thrower(3).split("\n")[6]!.indexOf("new Error") + 1
              })
              assert.strictEqual(
                map.headers["cache-control"],
                requested.includes("@") ? "public, max-age=31536000, immutable" : "public, max-age=0, must-revalidate"
              )
              maps.add(`${map.headers["etag"]} ${map.text}`)
            }
          }
        }
        assert.strictEqual(maps.size, 1)
        assert.notInclude([...maps][0] ?? "", "lockstep-")
        const alias = expectStatus(yield* first.ask(target.path("deep/a%20b.map")), 200)
        assert.strictEqual(alias.headers["x-lockstep-canonical-path"], "deep/a b.ts.map")
      }))

    it.effect("are named by answers from memory, and not again by 304", () =>
      Effect.gen(function*() {
        const { first, publish, realm, unused } = yield* Fleet
        const source = yield* realm({ "a.ts": thrower(0) })
        const target = unused()
        expectStatus(yield* publish(source, target), 202)
        let etag = ""
        for (let n = 0; n < 3; n++) {
          const answer = expectStatus(yield* first.ask(target.path("a")), 200)
          assert.strictEqual(answer.headers["sourcemap"], "a.ts.map")
          etag = String(answer.headers["etag"])
        }
        const unchanged = yield* first.ask(target.path("a"), { headers: { "if-none-match": etag } })
        assert.isUndefined(expectStatus(unchanged, 304).headers["sourcemap"])
        // sources and other files have none
        for (const path of ["a?source", ""]) {
          assert.isUndefined((yield* first.ask(target.path(path))).headers["sourcemap"])
        }
      }))

    it.effect("have tags that are theirs alone, and answer 304 and HEAD", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({ "a.ts": thrower(40) })
        const path = source.path("a.ts.map")
        const map = expectStatus(yield* first.ask(path), 200)
        assert.strictEqual(map.headers["content-type"], "application/json")
        const head = expectStatus(yield* first.ask(path, { method: "HEAD" }), 200)
        assert.strictEqual(head.headers["etag"], map.headers["etag"])
        assert.strictEqual(head.body.length, 0)
        const etag = String(map.headers["etag"])
        expectStatus(yield* first.ask(path, { headers: { "if-none-match": etag } }), 304)
        const gzip = expectStatus(yield* first.ask(path, { headers: { "accept-encoding": "gzip" } }), 200)
        assert.strictEqual(gzip.headers["content-encoding"], "gzip")
        assert.notStrictEqual(gzip.headers["etag"], etag)
        const module = yield* first.ask(source.path("a.ts"))
        assert.notStrictEqual(module.headers["etag"], etag)
      }))

    it.effect("follow an edit at once, at every replica", () =>
      Effect.gen(function*() {
        const { all, first, realm } = yield* Fleet
        const source = yield* realm({ "a.ts": thrower(0) })
        for (const lines of [1, 5, 2]) {
          const put = yield* first.ask(`${source.path("a.ts")}?wait=all`, { method: "PUT", body: thrower(lines) })
          expectStatus(put, 200)
          for (const replica of all) {
            const code = expectStatus(yield* replica.ask(source.path("a.ts")), 200).text
            const map = expectStatus(yield* replica.ask(source.path("a.ts.map")), 200)
            assert.deepInclude(yield* traced(code, JSON.parse(map.text)), { lineNumber: lines + 4 })
          }
        }
      }))

    it.effect("belong to the bytes on disk, as their module does, though nobody has told of an edit", () =>
      Effect.gen(function*() {
        const { all, realm } = yield* Fleet
        const source = yield* realm({ "a.ts": thrower(0) })
        for (const lines of [0, 3]) {
          yield* source.edit({ "a.ts": thrower(lines) })
          for (const replica of all) {
            const code = expectStatus(yield* replica.ask(source.path("a.ts")), 200).text
            const map = expectStatus(yield* replica.ask(source.path("a.ts.map")), 200)
            assert.deepInclude(yield* traced(code, JSON.parse(map.text)), { lineNumber: lines + 4 })
          }
        }
      }))

    it.effect("give way to the author's own file", () =>
      Effect.gen(function*() {
        const { all, first, realm } = yield* Fleet
        const source = yield* realm({ "a.ts": thrower(0), "b.map.ts": "export const b: 1 = 1" })
        const path = `${source.path("a.ts.map")}?wait=all`
        for (const replica of all) assert.include((yield* replica.ask(source.path("a.ts.map"))).text, "mappings")
        expectStatus(yield* first.ask(path, { method: "PUT", body: "mine" }), 201)
        for (const replica of all) assert.strictEqual((yield* replica.ask(source.path("a.ts.map"))).text, "mine")
        expectStatus(yield* first.ask(path, { method: "DELETE" }), 200)
        for (const replica of all) assert.include((yield* replica.ask(source.path("a.ts.map"))).text, "mappings")
        assert.match((yield* first.ask(source.path("b.map"))).text, /^export const b = 1;/)
      }))

    it.effect("are there for modules only that are served, and say why one does not compile", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({
          "a.json": "{}",
          ".hidden.ts": "export {}",
          ".git/a.ts": "export {}",
          "bad.ts": "export const = 1",
          "folder/a.ts": ""
        })
        const absent = [
          "a.json.map",
          "none.ts.map",
          ".hidden.ts.map",
          ".git/a.ts.map",
          "a.map",
          "folder.map",
          ".map",
          "folder/.map"
        ]
        for (const path of absent) expectProblem(yield* first.ask(source.path(path)), 404)
        const module = expectProblem(yield* first.ask(source.path("bad.ts")), 422)
        const map = expectProblem(yield* first.ask(source.path("bad.ts.map")), 422)
        assert.deepStrictEqual(map, module)
        expectStatus(yield* first.ask(source.path("folder/a.ts.map")), 200)
      }))
  })
}
