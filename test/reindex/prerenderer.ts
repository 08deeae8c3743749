import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { type LoadModule, Prerenderer, RenderFailure } from "../../src/reindex/Prerenderer.ts"
import { timedAwake } from "../support/awake.ts"

type Modules = Readonly<Record<string, string>>

const realm = "http://realm.test/r/"

/** Hands over these modules, by their names in a realm, and remembers what was asked for. */
const loader = (modules: Modules, asked: Array<string> = []): LoadModule => (url) => {
  asked.push(url)
  const code = url.startsWith(realm) ? modules[url.slice(realm.length)] : undefined
  return code === undefined
    ? Effect.fail(new RenderFailure({ reason: "error", detail: `${url} is not there` }))
    : Effect.succeed({ code })
}

const person = { module: `${realm}person`, name: "Person", model: { name: "Ada" } }

const rendered = Effect.fnUntraced(function*(
  modules: Modules,
  renderable: Parameters<Effect.Success<Prerenderer["Service"]["open"]>["render"]>[0] = person
) {
  const { open } = yield* Prerenderer
  const renderer = yield* open
  return yield* renderer.render(renderable, loader(modules))
}, Effect.scoped)

const classOf = (body: string) => ({ person: `export class Person { static isolated(model) { ${body} } }` })
const well = classOf("return `<b>${model.name}</b>`")

/** Code that means harm, or does it by mistake: an error each, and nothing else. */
const malicious: Readonly<Record<string, string>> = {
  "an endless loop": "for (;;) {}",
  "an endless wait": "return new Promise(() => {})",
  "endless microtasks": "const f = () => Promise.resolve().then(f); return f()",
  "a string of 1 GB": "let s = 'x'.repeat(2 ** 28); return s + s + s + s",
  "a result of 100 MB": "return 'x'.repeat(100 * 1024 * 1024)",
  "an array without end": "const a = []; for (;;) a.push(new Array(1e6).fill(Math.random()))",
  "endless recursion": "const f = () => f() + 1; return f()",
  "process.exit": "process.exit(0)",
  "a file": "return import('node:fs').then((fs) => fs.readFileSync('/etc/passwd', 'utf8'))",
  "fetch": "return fetch('http://127.0.0.1:1/').then((response) => response.text())",
  "a throw of nothing": "throw undefined",
  "a throw that throws": "throw { get message() { throw 1 } }",
  "a number": "return 1",
  "nothing": "",
  "a deep object": "const o = {}; let p = o; for (let i = 0; i < 1e5; i++) p = p.a = {}; return o"
}

/** What code may leave behind in what it can reach from where it runs. `mark` says what a rendering finds of others. */
const pollution: Readonly<Record<string, { readonly body: string; readonly mark: string }>> = {
  "a property of URL, by mistake": { body: "(URL.log ??= []).push(model.name)", mark: "URL.log" },
  "a property of TextEncoder": { body: "TextEncoder.who = 'HACKED'", mark: "TextEncoder.who" },
  "a property of structuredClone": { body: "structuredClone.who = 'HACKED'", mark: "structuredClone.who" },
  "a method of URL": {
    body: "Object.defineProperty(URL.prototype, 'href', { get: () => 'HACKED' })",
    mark: "new URL('http://realm.test/').href === 'http://realm.test/' ? undefined : 'HACKED'"
  },
  "TextEncoder's own method": {
    body: "TextEncoder.prototype.encode = () => ({ length: -1 })",
    mark: "new TextEncoder().encode('a').length === 1 ? undefined : 'HACKED'"
  },
  "JSON": {
    body: "JSON.parse = () => ({ name: 'HACKED' }); JSON.stringify = () => 'HACKED'",
    mark: "JSON.stringify(1) === '1' ? undefined : 'HACKED'"
  },
  "promises": {
    body: "Promise.prototype.then = function (done) { done('HACKED') }",
    mark: "await Promise.resolve(undefined)"
  },
  "the prototype of a class's prototype": {
    body: "let p = URL; while (Object.getPrototypeOf(p)) p = Object.getPrototypeOf(p); p.who = 'HACKED'",
    mark: "(URL.who ?? ({}).who)"
  }
}

/** Leaves the context by an error that is not of it, where one comes from outside. */
const outside = `
  const error = await import("node:fs").catch((error) => error)
  const outside = error.constructor.constructor("return globalThis")()
  const builtin = (name) => outside.process?.getBuiltinModule(name)
`

/** What code that is outside may rewrite, of what results are told with; or say in others' name. */
const rewriting: Readonly<Record<string, string>> = {
  "JSON": `outside.JSON.stringify = () => '{"html":"HACKED"}'; outside.JSON.parse = () => ({ html: "HACKED" })`,
  "the standard output": `if (outside.process) {
    const { write } = outside.process.stdout
    outside.process.stdout.write = function (text) { return write.call(this, text.replace(/<b>Ada/g, "<b>HACKED")) }
  }`,
  "fs.writeSync": `const fs = builtin("fs")
    if (fs) {
      const { writeSync } = fs
      fs.writeSync = (to, text) => writeSync(to, String(text).replace(/<b>Ada/g, "<b>HACKED"))
      builtin("module").syncBuiltinESMExports()
    }`,
  "ports": `for (const port of [outside.MessagePort?.prototype, builtin("worker_threads")?.parentPort]) {
      const post = port?.postMessage
      if (post) port.postMessage = function () { return post.call(this, { html: "HACKED" }) }
    }`,
  "promises": "outside.Promise.prototype.then = function (done) { done?.('HACKED') }",
  "every object": "Object.assign(outside.Object.prototype, { html: 'HACKED', need: 'HACKED', failure: 'HACKED' })",
  "what it says itself": `builtin("worker_threads")?.parentPort?.postMessage({ html: "HACKED" })
    for (const message of [{ here: true }, { begun: true }, { ready: true }, null, "HACKED", { html: 1 }]) {
      builtin("worker_threads")?.parentPort?.postMessage(message)
    }`,
  "lines in others' name": `builtin("fs")?.writeSync(1, '{"html":"HACKED"}\\n{"html":"HACKED"}\\n{"ready":true}\\n')`,
  "the lines of a whole rendering": `builtin("fs")?.writeSync(1,
    '{"html":"HACKED"}\\n{"begun":true}\\n{"html":"HACKED"}\\n{"begun":true}\\n{"html":"HACKED"}\\n')`,
  "lines that come late": `for (let i = 0; i < 200; i++) builtin("fs")?.write(1, '{"html":"HACKED"}\\n', () => {})`
}

// Each starts processes, and all have deadlines.
const alone = { concurrent: false }

/** What every Prerenderer promises. */
export const prerenderer = <E>(name: string, prerenderers: Layer.Layer<Prerenderer, E>) =>
  layer(prerenderers, { excludeTestServices: true })(`Prerenderer ${name}`, (it) => {
    it.effect("a class renders the model that adopts from it", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* rendered(well), Option.some("<b>Ada</b>"))
      }), alone)

    it.effect(
      "a promise of HTML is awaited, imports are followed, and each module is asked for once",
      () =>
        Effect.gen(function*() {
          const { open } = yield* Prerenderer
          const asked: Array<string> = []
          const modules = {
            person: `import { b } from "./deep/b.ts"
            import * as again from "/r/deep/b.ts"
            export class Person {
              static async isolated({ name }) {
                const { c } = await import("./deep/c.ts")
                return b(name) + c + (again.b === b) + new URL("./x.svg", import.meta.url)
              }
            }`,
            "deep/b.ts": "import { c } from './c.ts'; export const b = (name) => `<i>${name}${c}</i>`",
            "deep/c.ts": "export * from './b.ts'; export const c = '!'"
          }
          const html = yield* Effect.flatMap(open, (renderer) => renderer.render(person, loader(modules, asked))).pipe(
            Effect.scoped
          )
          assert.deepStrictEqual(html, Option.some(`<i>Ada!</i>!true${realm}x.svg`))
          assert.deepStrictEqual(asked.toSorted(), [`${realm}deep/b.ts`, `${realm}deep/c.ts`, `${realm}person`])
        }),
      alone
    )

    it.effect("a function of the module renders what its class does not", () =>
      Effect.gen(function*() {
        const modules = { person: "export class Person {}\nexport const isolated = (model) => `<u>${model.name}</u>`" }
        assert.deepStrictEqual(yield* rendered(modules), Option.some("<u>Ada</u>"))
        assert.deepStrictEqual(yield* rendered(modules, { ...person, name: "isolated" }), Option.some("<u>Ada</u>"))
      }), alone)

    it.effect(
      "a module renders alone if it exports isolated, and nothing if it does not",
      () =>
        Effect.gen(function*() {
          const alone = { ...person, name: undefined, model: undefined }
          const modules = { person: "export function isolated() { return `<p>${arguments.length}</p>` }" }
          assert.deepStrictEqual(yield* rendered(modules, alone), Option.some("<p>0</p>"))
          assert.deepStrictEqual(yield* rendered(well, alone), Option.none())
        }),
      alone
    )

    it.effect("an error tells what is wrong, in the author's terms", () =>
      Effect.gen(function*() {
        const said = (modules: Modules) => Effect.map(Effect.flip(rendered(modules)), ({ detail }) => detail)
        assert.match(yield* said(classOf("throw new TypeError('no such colour')")), /TypeError: no such colour/)
        assert.match(yield* said({ person: "export const other = 1" }), /exports no Person/)
        assert.match(yield* said({ person: "export class Person {}" }), /no static isolated/)
        assert.match(yield* said({ person: "import './missing'" }), /missing is not there/)
        assert.match(yield* said({ person: "import 'left-pad'" }), /left-pad/)
        assert.match(yield* said({ person: "const const" }), /SyntaxError/)
        assert.match(yield* said(classOf("return 1")), /a number/)
      }), alone)

    it.effect("renderings do not see what others left behind", () =>
      Effect.gen(function*() {
        const { open } = yield* Prerenderer
        const renderer = yield* open
        const modules = classOf(
          "globalThis.n = (globalThis.n ?? 0) + 1; Array.prototype.x ??= 0; return String(n + Array.prototype.x++)"
        )
        for (let round = 0; round < 3; round++) {
          assert.deepStrictEqual(yield* renderer.render(person, loader(modules)), Option.some("1"))
        }
      }).pipe(Effect.scoped), alone)

    for (const [what, { body, mark }] of Object.entries(pollution)) {
      it.effect(`renderings do not see what others did to ${what}`, () =>
        Effect.gen(function*() {
          const { open } = yield* Prerenderer
          const renderer = yield* open
          const finds = `export class Person { static async isolated(model) { return String(${mark}) + model.name } }`
          yield* Effect.result(renderer.render(person, loader(classOf(`${body}; return "evil"`))))
          assert.deepStrictEqual(yield* renderer.render(person, loader({ person: finds })), Option.some("undefinedAda"))
        }).pipe(Effect.scoped), alone)
    }

    for (const [what, body] of Object.entries(rewriting)) {
      it.effect(
        `code that has left its context and rewrites ${what} changes no other rendering`,
        () =>
          Effect.gen(function*() {
            const { open } = yield* Prerenderer
            const renderer = yield* open
            const evil = `export class Person { static async isolated() { ${outside}; ${body}; return "evil" } }`
            yield* Effect.result(renderer.render(person, loader({ person: evil })))
            for (let round = 0; round < 2; round++) {
              assert.deepStrictEqual(yield* renderer.render(person, loader(well)), Option.some("<b>Ada</b>"))
            }
          }).pipe(Effect.scoped),
        alone
      )
    }

    it.effect("what is not HTML, and what is thrown, is named in good English", () =>
      Effect.gen(function*() {
        const said = (body: string) => Effect.map(Effect.flip(rendered(classOf(body))), ({ detail }) => detail)
        assert.match(yield* said("return {}"), /returned an object, not a string/)
        assert.match(yield* said("return undefined"), /returned undefined, not a string/)
        assert.match(yield* said("return null"), /returned null, not a string/)
        assert.match(yield* said("return []"), /returned an array, not a string/)
        assert.match(yield* said("return () => 1"), /returned a function, not a string/)
        assert.match(yield* said("throw null"), /it threw null/)
        assert.match(yield* said("throw undefined"), /it threw undefined/)
      }), alone)

    for (const [what, body] of Object.entries(malicious)) {
      it.effect(`${what} costs its own entry only`, () =>
        Effect.gen(function*() {
          const { open } = yield* Prerenderer
          const renderer = yield* open
          const [took, failure] = yield* timedAwake(Effect.flip(renderer.render(person, loader(classOf(body)))))
          assert.instanceOf(failure, RenderFailure)
          assert.isBelow(took, 60_000)
          assert.deepStrictEqual(yield* renderer.render(person, loader(well)), Option.some("<b>Ada</b>"))
        }).pipe(Effect.scoped), alone)
    }
  })
