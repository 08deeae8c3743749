import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Definitions } from "../../../src/api/Api.ts"
import { isFault } from "../../../src/domain/Definition.ts"
import { eventually } from "../../support/eventually.ts"
import { Fleet, type Place } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"
import { expectProblem, expectStatus } from "./expectations.ts"

type Answer = typeof Definitions.Type

const ask = (replica: Replica, place: Place, query: string) =>
  Effect.map(
    replica.ask(place.path(`_definitions?${query}`)),
    (answer): Answer => JSON.parse(expectStatus(answer, 200).text)
  )

const membersOf = ({ definitions: [only] }: Answer) =>
  only === undefined || isFault(only) ? [] : (only.members ?? []).map(({ from, name }) => `${name} of ${from.name}`)

const family = {
  "base.ts": "/** The first. */ export class Base { a = 1 }",
  "sub.ts": "import { Base } from './base'\nexport class Sub extends Base { @field b = contains(Base) }\n" +
    "declare const field: any, contains: any",
  "subsub.ts": "export { Sub as Other } from './sub.ts'\nimport { Sub } from './sub'\nexport class Leaf extends Sub {}",
  "unrelated.ts": "import { Base } from './base'\nexport class Unrelated { base = Base }"
}
const everyone = ["module=base&name=Base", "module=sub&name=Sub", "module=subsub&name=Leaf", "module=unrelated"]

/** What every replica remembers of a module. Asked again while a member does not say within its second. */
const eventsOf = Effect.fnUntraced(function*(url: string) {
  const { first } = yield* Fleet
  type Members = ReadonlyArray<{ failure: string | null; events: ReadonlyArray<Readonly<Record<string, unknown>>> }>
  const members = yield* eventually(
    "every member tells what it remembers",
    Effect.map(
      first.ask(`/_module-history?url=${encodeURIComponent(url)}`),
      (answer) => expectStatus(answer, 200).json["members"] as Members
    ),
    (asked) => asked.length === 2 && asked.every(({ failure }) => failure === null)
  )
  return members.map(({ events }) => events)
})

/** A catch-up may find an edit before its message comes: then all that is known of the realm is void, and not one path. */
const attempts = 5

const names = ["definitionsComputed", "definitionsInvalidated", "definitionHits", "definitionsCascaded"] as const

/** What each replica's counters gained while the effect ran. */
const gained = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const { all } = yield* Fleet
  const read = Effect.forEach(all, (replica) => replica.status)
  const before = yield* read
  yield* effect
  const after = yield* read
  return after.map((status, index) => {
    const of = (name: typeof names[number]) => Number(status[name] ?? 0) - Number(before[index]?.[name] ?? 0)
    return {
      computed: of("definitionsComputed"),
      invalidated: of("definitionsInvalidated"),
      hits: of("definitionHits")
    }
  })
})

layer(Fleet.layer(), { excludeTestServices: true })("definitions on two replicas", (it) => {
  it.effect("an edit of a base class makes exactly its dependents anew, once, and both replicas say so", () =>
    Effect.gen(function*() {
      const { all, first, realm } = yield* Fleet
      const cascaded = Effect.map(first.status, (counters) => counters["definitionsCascaded"] ?? 0)
      for (let attempt = 1, wasCaughtUp = true; wasCaughtUp; attempt++) {
        const source = yield* realm(family)
        const lookUp = Effect.forEach(
          all,
          (replica) => Effect.forEach(everyone, (query) => ask(replica, source, query))
        )
        yield* lookUp
        assert.deepStrictEqual(yield* gained(lookUp), all.map(() => ({ computed: 0, invalidated: 0, hits: 4 })))

        const before = yield* cascaded
        const edited = "export class Base { renamed = 1 }"
        expectStatus(yield* first.ask(source.path("base.ts?wait=all"), { method: "PUT", body: edited }), 200)
        for (const dependent of ["sub.ts", "subsub.ts"]) {
          yield* eventually(
            `every replica has heard of ${dependent}`,
            eventsOf(`${source.url}${dependent}`),
            (each) => each.every((events) => events.some(({ kind }) => kind === "cascade"))
          )
        }
        assert.strictEqual((yield* cascaded) - before, 2)

        const after = yield* gained(lookUp)
        // Base, sub and subsub anew, by one replica for both; sub and subsub were found void on each; one is a hit.
        assert.strictEqual(after.reduce((sum, { computed }) => sum + computed, 0), 3)
        for (const replica of all) {
          assert.deepStrictEqual(membersOf(yield* ask(replica, source, "module=subsub&name=Leaf")), [
            "b of Sub",
            "renamed of Base"
          ])
        }
        const seen = yield* eventsOf(`${source.url}unrelated.ts`)
        wasCaughtUp = attempt < attempts && seen.flat().some(({ via }) => via === "catch-up")
        if (wasCaughtUp) continue
        assert.deepStrictEqual(
          after.map(({ hits, invalidated }) => ({ hits, invalidated })),
          all.map(() => ({ hits: 1, invalidated: 2 }))
        )
      }
    }))

  it.effect("a dependent in another realm follows an edit at once, on both replicas", () =>
    Effect.gen(function*() {
      const { all, first, realm } = yield* Fleet
      const library = yield* realm({ "base.ts": "export class Base { one = 1 }" })
      const source = yield* realm({
        "sub.ts": `import { Base } from '../${library.name}/base.ts'\nexport class Sub extends Base {}`
      })
      for (const name of ["two", "three"]) {
        for (const replica of all) yield* ask(replica, source, "module=sub")
        const body = `export class Base { ${name} = 1 }`
        expectStatus(yield* first.ask(library.path("base.ts?wait=all"), { method: "PUT", body }), 200)
        for (const replica of all) {
          assert.deepStrictEqual(membersOf(yield* ask(replica, source, "module=sub&name=Sub")), [`${name} of Base`])
        }
      }
    }))

  it.effect("an export is described with its summary, decorated fields and references; what is not there is 404", () =>
    Effect.gen(function*() {
      const { realm, second } = yield* Fleet
      const source = yield* realm({ ...family, "broken.ts": "export class {" })
      const { definitions, dependencies, imports } = yield* ask(second, source, "module=sub")
      const [sub] = definitions
      assert.isDefined(sub)
      assert.isFalse(isFault(sub))
      if (!isFault(sub)) {
        assert.deepStrictEqual(sub.members?.[0], {
          name: "b",
          kind: "field",
          static: false,
          line: 2,
          decorators: [{ name: "field", ref: { specifier: null, module: `${source.url}sub.ts`, name: "field" } }],
          call: {
            name: "contains",
            ref: { specifier: null, module: `${source.url}sub.ts`, name: "contains" },
            argument: { specifier: "./base", module: `${source.url}base`, name: "Base" }
          },
          from: { module: `${source.url}sub.ts`, name: "Sub" }
        })
      }
      assert.deepStrictEqual([imports, dependencies], [["./base"], [`${source.url}base.ts`]])
      const base = yield* ask(second, source, "module=base.ts&name=Base")
      assert.strictEqual(base.definitions.length, 1)
      assert.include(JSON.stringify(base), "The first.")
      expectProblem(yield* second.ask(source.path("_definitions?module=base&name=Nobody")), 404)
      const broken = yield* ask(second, source, "module=broken&name=Any")
      assert.strictEqual(broken.error?.line, 1)
    }))
})
