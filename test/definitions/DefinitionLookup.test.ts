import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { Counters } from "../../src/coordination/Counters.ts"
import { DefinitionLookup } from "../../src/definitions/DefinitionLookup.ts"
import type { Definition } from "../../src/domain/Definition.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { createRealm } from "../../src/lifecycle/create.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { deleteFile, putFile } from "../../src/lifecycle/write.ts"
import { notesUrl, publicUrl, publishedUrl } from "../lifecycle/oneReplica.ts"
import { put } from "../realms/temporaryRealms.ts"
import { Gate, gatedLookup, putAll, urlOf } from "./gatedLookup.ts"

type Services = Layer.Success<typeof gatedLookup>

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.live(name, () => Effect.provide(test(), Layer.fresh(gatedLookup)))

const bytes = (text: string) => new TextEncoder().encode(text)

const write = (path: string, text: string) => putFile(notesUrl, path, bytes(text))

const lookup = (module: string, name = "default") =>
  Effect.flatMap(DefinitionLookup, ({ lookupDefinition }) => lookupDefinition({ module, name }))

const membersOf = ({ members = [] }: Definition) => members.map(({ from, name }) => `${name} of ${from.name}`)

/** `sub` and `subsub` inherit from `base`, through a module that only re-exports; `unrelated` does not. */
const family = {
  "base.ts": "export class Base { a = 1; b() {} }",
  "index.ts": "export * from './base'",
  "sub.ts": "import { Base } from './index.ts'\nexport class Sub extends Base { b() {} ; static c = 1 }",
  "subsub.ts": "import { Sub as S } from './sub'\nexport default class Leaf extends S {}",
  "unrelated.ts": "import { Base } from './base'\nexport class Unrelated { base = new Base() }"
}
const everyone = [["base", "Base"], ["sub", "Sub"], ["subsub", "default"], ["unrelated", "Unrelated"]] as const

const lookUpAll = Effect.forEach(everyone, ([module, name]) => lookup(urlOf(module), name))

/** What the counters gained while the effect ran. */
const counted = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const counters = yield* Counters
  const before = { ...counters }
  yield* effect
  return {
    computed: counters.definitionsComputed - before.definitionsComputed,
    invalidated: counters.definitionsInvalidated - before.definitionsInvalidated,
    hits: counters.definitionHits - before.definitionHits
  }
})

live("a class has its own and its inherited members, with where each comes from", () =>
  Effect.gen(function*() {
    yield* putAll(family)
    const leaf = yield* lookup(urlOf("subsub"))
    const base = { module: urlOf("base.ts"), name: "Base" }
    const sub = { module: urlOf("sub.ts"), name: "Sub" }
    assert.deepStrictEqual(leaf.ancestors, [sub, base])
    assert.deepStrictEqual(membersOf(leaf), ["b of Sub", "c of Sub", "a of Base"])
    assert.deepStrictEqual(leaf.superClass, {
      text: "S",
      ref: { specifier: "./sub", module: urlOf("sub"), name: "Sub" }
    })
    const { getCachedDefinitions } = yield* DefinitionLookup
    const entry = Option.getOrThrow(yield* getCachedDefinitions(urlOf("subsub.ts")))
    assert.deepStrictEqual(entry.dependencies, ["base.ts", "index.ts", "sub.ts"].map(urlOf))
  }))

live(
  "an edit of a base class makes exactly its dependents anew, and others are hits (S27)",
  () =>
    Effect.gen(function*() {
      yield* putAll(family)
      assert.deepStrictEqual(yield* counted(lookUpAll), { computed: 4, invalidated: 0, hits: 0 })
      assert.deepStrictEqual(yield* counted(lookUpAll), { computed: 0, invalidated: 0, hits: 4 })
      yield* write("base.ts", "export class Base { a = 1; renamed() {} }")
      assert.deepStrictEqual(yield* counted(lookUpAll), { computed: 3, invalidated: 2, hits: 1 })
      assert.deepStrictEqual(membersOf(yield* lookup(urlOf("subsub"))), [
        "b of Sub",
        "c of Sub",
        "a of Base",
        "renamed of Base"
      ])
    })
)

live("an edit on disk that nobody was told of is seen by the dependents too", () =>
  Effect.gen(function*() {
    yield* putAll(family)
    yield* lookUpAll
    yield* put("base.ts", "export class Base { onDisk = 1 }")
    assert.include(membersOf(yield* lookup(urlOf("sub"), "Sub")), "onDisk of Base")
  }))

live("a write of the same bytes makes nothing anew but the module itself", () =>
  Effect.gen(function*() {
    yield* putAll(family)
    yield* lookUpAll
    yield* write("index.ts", family["index.ts"])
    const { definitionsComputed } = yield* Counters
    yield* lookup(urlOf("unrelated"), "Unrelated")
    assert.strictEqual((yield* Counters).definitionsComputed, definitionsComputed)
  }))

live("a file that appears where an import led nowhere heals the export that needed it", () =>
  Effect.gen(function*() {
    yield* putAll({ "sub.ts": "import { Base } from './base'\nexport class Sub extends Base {}\nexport const ok = 1" })
    const error = yield* Effect.flip(lookup(urlOf("sub"), "Sub"))
    assert.strictEqual(error._tag, "DefinitionError")
    assert.include(error.message, `${urlOf("base")} does not exist`)
    // One bad export does not hide the others.
    assert.strictEqual((yield* lookup(urlOf("sub"), "ok")).kind, "constant")
    yield* write("base.ts", "export class Base {}")
    assert.strictEqual((yield* lookup(urlOf("sub"), "Sub")).kind, "class")
    yield* deleteFile(notesUrl, "base.ts")
    assert.strictEqual((yield* Effect.flip(lookup(urlOf("sub"), "Sub")))._tag, "DefinitionError")
  }))

live(
  "a file that comes to stand first for an alias takes over, for dependents as well (S25)",
  () =>
    Effect.gen(function*() {
      yield* putAll({
        "base.js": "export class Base { js = 1 }",
        "sub.ts": "import { Base } from './base'\nexport class Sub extends Base {}"
      })
      assert.deepStrictEqual(membersOf(yield* lookup(urlOf("sub"), "Sub")), ["js of Base"])
      yield* write("base.ts", "export class Base { ts = 1 }")
      assert.deepStrictEqual(membersOf(yield* lookup(urlOf("sub"), "Sub")), ["ts of Base"])
      assert.strictEqual((yield* lookup(urlOf("base"), "Base")).declared.module, urlOf("base.ts"))
      assert.strictEqual((yield* lookup(urlOf("base.js"), "Base")).declared.module, urlOf("base.js"))
    })
)

live("classes inherit across realms, and an edit there is seen here", () =>
  Effect.gen(function*() {
    const library = (yield* createRealm({ publicUrl, name: "library" })).realmUrl
    yield* putFile(library, "base.ts", bytes("export class Base { far = 1 }"))
    yield* putAll({ "sub.ts": `import { Base } from '../library/base'\nexport class Sub extends Base {}` })
    assert.deepStrictEqual(membersOf(yield* lookup(urlOf("sub"), "Sub")), ["far of Base"])
    yield* putFile(library, "base.ts", bytes("export class Base { farther = 1 }"))
    assert.deepStrictEqual(membersOf(yield* lookup(urlOf("sub"), "Sub")), ["farther of Base"])
  }))

live("a published realm has its own definitions, and a version keeps those of its time", () =>
  Effect.gen(function*() {
    yield* putAll(family)
    const { generation } = yield* publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })
    assert.strictEqual((yield* lookup(`${publishedUrl}sub`, "Sub")).ancestors?.[0]?.module, `${publishedUrl}base.ts`)
    yield* write("base.ts", "export class Base { second = 1 }")
    yield* publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })
    assert.include(membersOf(yield* lookup(`${publishedUrl}sub`, "Sub")), "second of Base")
    const old = yield* lookup(`${publishedUrl}@${generation}/sub`, "Sub")
    assert.deepStrictEqual(membersOf(old), ["b of Sub", "c of Sub", "a of Base"])
    assert.strictEqual(old.ancestors?.[0]?.module, `${publishedUrl}@${generation}/base.ts`)
  }))

live(
  "a name that the module neither declares nor imports has no reference: it is a global's",
  () =>
    Effect.gen(function*() {
      yield* putAll({
        "globals.ts": `import { field } from "./fields"
        interface HTMLElement { ours: true }
        declare class Ambient {}
        class Own {}
        export class A extends HTMLElement {}
        export class B extends (globalThis as any).Foo.Bar {}
        export class C extends React.Component {}
        export class D extends Ambient {}
        export class E extends Own { @observed a = wrap(String); @field b = wrap(Own) }
        const wrap = (of: unknown) => of`,
        "fields.ts": "export const field = 1"
      })
      for (
        const [name, text] of [["A", "HTMLElement"], ["B", "(globalThis as any).Foo.Bar"], ["C", "React.Component"]]
      ) {
        const { beyond, superClass } = yield* lookup(urlOf("globals"), name)
        assert.deepStrictEqual({ beyond, superClass }, { beyond: text, superClass: { text } })
      }
      const here = (name: string) => ({ specifier: null, module: urlOf("globals.ts"), name })
      assert.deepStrictEqual((yield* lookup(urlOf("globals"), "D")).superClass, {
        text: "Ambient",
        ref: here("Ambient")
      })
      const { members = [], superClass } = yield* lookup(urlOf("globals"), "E")
      assert.deepStrictEqual(superClass, { text: "Own", ref: here("Own") })
      assert.deepStrictEqual(members.map(({ call, decorators }) => ({ call, decorators })), [
        { call: { name: "wrap", ref: here("wrap") }, decorators: [{ name: "observed" }] },
        {
          call: { name: "wrap", ref: here("wrap"), argument: here("Own") },
          decorators: [{ name: "field", ref: { specifier: "./fields", module: urlOf("fields"), name: "field" } }]
        }
      ])
    })
)

live("who extends null has all of its members, and nothing beyond", () =>
  Effect.gen(function*() {
    yield* putAll({ "bare.ts": "export class Bare extends null { a = 1 }\nexport class Sub extends Bare {}" })
    for (const name of ["Bare", "Sub"]) {
      const found = yield* lookup(urlOf("bare"), name)
      assert.notProperty(found, "beyond")
      assert.deepStrictEqual(membersOf(found), ["a of Bare"])
    }
    assert.deepStrictEqual((yield* lookup(urlOf("bare"), "Bare")).superClass, { text: "null" })
  }))

live("a declaration is one, whichever of its names is asked for", () =>
  Effect.gen(function*() {
    yield* putAll({
      "person.ts": "export { Person as default, Person as P2 }\nexport class Person { a = 1 }",
      "hidden.ts": "class Local { a = 1 }\nexport { Local as default, Local as Shown }",
      "only.ts": "export default class Leaf { a = 1 }",
      "fn.ts": "export { f as g, f as default }\nexport function f() {}",
      "sub.ts": "import P from './person'\nexport class Sub extends P {}",
      // Both stars bring one declaration, by two of its names.
      "one.ts": "export { P2 as Same } from './person'",
      "two.ts": "export { default as Same } from './person'",
      "stars.ts": "export * from './one'\nexport * from './two'"
    })
    const person = { module: urlOf("person.ts"), name: "Person" }
    for (const name of ["Person", "default", "P2"]) {
      const { declared, members = [] } = yield* lookup(urlOf("person"), name)
      assert.deepStrictEqual([declared, members[0]?.from], [person, person], name)
    }
    for (const name of ["default", "Shown"]) {
      const { declared, members = [] } = yield* lookup(urlOf("hidden"), name)
      const shown = { module: urlOf("hidden.ts"), name: "Shown" }
      assert.deepStrictEqual([declared, members[0]?.from], [shown, shown], name)
    }
    assert.deepStrictEqual((yield* lookup(urlOf("only"))).declared, { module: urlOf("only.ts"), name: "default" })
    for (const name of ["default", "f", "g"]) {
      assert.deepStrictEqual((yield* lookup(urlOf("fn"), name)).declared, { module: urlOf("fn.ts"), name: "f" })
    }
    assert.deepStrictEqual((yield* lookup(urlOf("sub"), "Sub")).ancestors, [person])
    assert.deepStrictEqual((yield* lookup(urlOf("stars"), "Same")).declared, person)
  }))

live("who inherits from itself is told where", () =>
  Effect.gen(function*() {
    yield* putAll({ "circle.ts": "export class A extends B {}\nexport class B\n  extends A {}" })
    const error = yield* Effect.flip(lookup(urlOf("circle"), "A"))
    assert.deepInclude(error, { _tag: "DefinitionError", at: urlOf("circle.ts"), line: 1, column: 24 })
  }))

live("code of no realm is named and not followed", () =>
  Effect.gen(function*() {
    yield* putAll({
      "a.ts": `import { Effect } from 'effect'
        import { Far } from 'https://elsewhere.example/far.ts'
        export { Effect }
        export * from 'effect'
        export class Near extends Far {}
        export class Made extends Effect.Service<Made>()('key') {}`
    })
    assert.deepStrictEqual((yield* lookup(urlOf("a"), "Effect")).declared, { module: "effect", name: "Effect" })
    const near = yield* lookup(urlOf("a"), "Near")
    assert.strictEqual(near.beyond, "Far")
    assert.deepStrictEqual(near.superClass?.ref, {
      specifier: "https://elsewhere.example/far.ts",
      module: "https://elsewhere.example/far.ts",
      name: "Far"
    })
    assert.deepStrictEqual((yield* lookup(urlOf("a"), "Made")).superClass?.ref?.name, "Effect.Service")
    const { getCachedDefinitions } = yield* DefinitionLookup
    const entry = Option.getOrThrow(yield* getCachedDefinitions(urlOf("a")))
    assert.isTrue(entry.definitions.some(({ name }) => name === "*"))
  }))

live(
  "what is not there is not found: the realm, the module, the export, what is no module",
  () =>
    Effect.gen(function*() {
      yield* putAll({ "a.ts": "export const a = 1", "b.json": "{}", ".hidden.ts": "export const a = 1" })
      for (
        const [module, name] of [
          ["http://nowhere.example/a", "a"],
          ["not a URL", "a"],
          ["file:///etc/passwd", "a"],
          [urlOf("missing"), "a"],
          [urlOf("b.json"), "default"],
          [urlOf(".hidden.ts"), "a"],
          [urlOf("../notes2/a"), "a"],
          [urlOf("a"), "b"],
          [notesUrl, "a"]
        ] as const
      ) {
        assert.strictEqual((yield* Effect.flip(lookup(module, name)))._tag, "DefinitionNotFound", module)
      }
    })
)

live("what is cached is told without side effects", () =>
  Effect.gen(function*() {
    const { getCachedDefinitions, getCachedDefinitionsBatch, lookupCachedDefinition } = yield* DefinitionLookup
    yield* putAll(family)
    const ref = { module: urlOf("sub"), name: "Sub" }
    const look = Effect.gen(function*() {
      const batch = yield* getCachedDefinitionsBatch({ modules: [ref.module, urlOf("base"), urlOf("none")] })
      return [
        Option.isSome(yield* lookupCachedDefinition(ref)),
        Option.isSome(yield* getCachedDefinitions(ref.module)),
        [...batch.keys()]
      ] as const
    })
    const counters = yield* Counters
    const untouched = { ...counters }
    assert.deepStrictEqual(yield* look, [false, false, []])
    assert.deepStrictEqual({ ...counters }, untouched)
    assert.deepStrictEqual((yield* Gate).analysed, [])
    yield* lookup(ref.module, ref.name)
    yield* lookup(urlOf("base"), "Base")
    assert.deepStrictEqual(yield* look, [true, true, [ref.module, urlOf("base")]])
    assert.isTrue(Option.isNone(yield* lookupCachedDefinition({ ...ref, name: "Other" })))
    // Void at once, whether or not anybody has looked since.
    yield* put("base.ts", "export class Base {}")
    assert.deepStrictEqual(yield* look, [false, false, []])
  }))

live("one scope's entries are never another's", () =>
  Effect.gen(function*() {
    const { getCachedDefinitions, getCachedDefinitionsBatch, lookupDefinition } = yield* DefinitionLookup
    yield* putAll(family)
    const ref = { module: urlOf("sub"), name: "Sub" }
    yield* lookupDefinition(ref, { scope: "alice" })
    for (const scope of ["public", "bob", "alic", ""]) {
      assert.isTrue(Option.isNone(yield* getCachedDefinitions(ref.module, { scope })), scope)
      assert.strictEqual((yield* getCachedDefinitionsBatch({ modules: [ref.module], scope })).size, 0, scope)
    }
    assert.isTrue(Option.isSome(yield* getCachedDefinitions(ref.module, { scope: "alice" })))
    yield* lookupDefinition(ref)
    assert.isTrue(Option.isSome(yield* getCachedDefinitions(ref.module, { scope: "alice" })))
  }))

live("clearing a realm or everything leaves nothing, here and in the shared table (S26)", () =>
  Effect.gen(function*() {
    const { clearAllDefinitions, clearRealmDefinitions, getCachedDefinitions } = yield* DefinitionLookup
    const other = (yield* createRealm({ publicUrl, name: "other" })).realmUrl
    yield* putFile(other, "a.ts", bytes("export const a = 1"))
    yield* putAll(family)
    const cached = Effect.forEach([urlOf("sub"), `${other}a`], (url) =>
      Effect.map(getCachedDefinitions(url), Option.isSome))
    const fill = Effect.all([lookup(urlOf("sub"), "Sub"), lookup(`${other}a`, "a")])
    yield* fill
    assert.deepStrictEqual(yield* cached, [true, true])
    yield* clearRealmDefinitions(notesUrl)
    assert.deepStrictEqual(yield* cached, [false, true])
    yield* fill
    yield* clearAllDefinitions()
    assert.deepStrictEqual(yield* cached, [false, false])
    assert.strictEqual(
      (yield* Effect.flip(clearRealmDefinitions("http://nowhere.example/" as RealmUrl)))._tag,
      "RealmNotFound"
    )
  }))

live(
  "invalidating a module, by any of its names, voids it and its dependents, and nobody else (S27)",
  () =>
    Effect.gen(function*() {
      const { getCachedDefinitionsBatch, invalidate } = yield* DefinitionLookup
      yield* putAll(family)
      const modules = everyone.map(([module]) => urlOf(module))
      for (const name of ["base", "base.ts"]) {
        yield* lookUpAll
        assert.deepStrictEqual([...(yield* getCachedDefinitionsBatch({ modules })).keys()], modules)
        yield* invalidate(urlOf(name))
        assert.deepStrictEqual([...(yield* getCachedDefinitionsBatch({ modules })).keys()], [urlOf("unrelated")])
        assert.deepStrictEqual(yield* counted(lookUpAll), { computed: 3, invalidated: 2, hits: 1 }, name)
      }
      assert.strictEqual((yield* Effect.flip(invalidate("http://nowhere.example/a")))._tag, "DefinitionNotFound")
    })
)

live("everybody who asks at once shares one run, and its failure", () =>
  Effect.gen(function*() {
    yield* putAll({ ...family, "broken.ts": "export class {" })
    const { analysed } = yield* Gate
    const asked = counted(
      Effect.all(Array.from({ length: 20 }, () => lookup(urlOf("sub"), "Sub")), { concurrency: 20 })
    )
    assert.strictEqual((yield* asked).computed, 1)
    assert.deepStrictEqual(analysed.toSorted(), ["base.ts", "index.ts", "sub.ts"])
    const failures = yield* Effect.all(
      Array.from({ length: 20 }, () => Effect.flip(lookup(urlOf("broken"), "A"))),
      { concurrency: 20 }
    )
    assert.isTrue(failures.every((each) => each._tag === "DefinitionError" && each.line === 1))
    assert.strictEqual(analysed.filter((path) => path === "broken.ts").length, 1)
  }))

live(
  "an edit while a dependent is being analysed: who asks later has the new base (S27)",
  () =>
    Effect.gen(function*() {
      yield* putAll(family)
      const gate = yield* Gate
      // The dependent's run has read the old base when the edit comes.
      const base = gate.hold("base.ts")
      const early = yield* Effect.forkChild(lookup(urlOf("sub"), "Sub"), { startImmediately: true })
      yield* base.begun
      yield* write("base.ts", "export class Base { edited = 1 }")
      const late = yield* Effect.forkChild(lookup(urlOf("sub"), "Sub"), { startImmediately: true })
      yield* base.open
      yield* Fiber.await(early)
      const after = yield* Fiber.join(late)
      assert.deepStrictEqual(membersOf(after), ["b of Sub", "c of Sub", "edited of Base"])
      assert.deepStrictEqual(membersOf(yield* lookup(urlOf("sub"), "Sub")), ["b of Sub", "c of Sub", "edited of Base"])
    })
)

live(
  "a realm cleared while a module is being analysed: the result is kept nowhere (S26)",
  () =>
    Effect.gen(function*() {
      const { clearRealmDefinitions, getCachedDefinitions } = yield* DefinitionLookup
      yield* putAll(family)
      const gate = (yield* Gate).hold("unrelated.ts")
      const early = yield* Effect.forkChild(lookup(urlOf("unrelated"), "Unrelated"), { startImmediately: true })
      yield* gate.begun
      yield* clearRealmDefinitions(notesUrl)
      yield* gate.open
      yield* Fiber.await(early)
      assert.isTrue(Option.isNone(yield* getCachedDefinitions(urlOf("unrelated"))))
    })
)

it.effect("an error is believed for 30 seconds, by the clock service, and a definition for good (S25)", () =>
  Effect.gen(function*() {
    yield* putAll({
      "bad.ts": "export { gone } from './none'\nexport const fine = 1",
      "good.ts": "export const a = 1",
      "broken.ts": "("
    })
    const all = Effect.all([
      Effect.flip(lookup(urlOf("bad"), "gone")),
      lookup(urlOf("bad"), "fine"),
      Effect.flip(lookup(urlOf("broken"), "x")),
      lookup(urlOf("good"), "a")
    ])
    yield* all
    yield* TestClock.adjust("29999 millis")
    assert.strictEqual((yield* counted(all)).computed, 0)
    yield* TestClock.adjust("1 millis")
    assert.strictEqual((yield* counted(all)).computed, 2)
    assert.strictEqual((yield* counted(all)).computed, 0)
  }).pipe(Effect.provide(Layer.fresh(gatedLookup))))
