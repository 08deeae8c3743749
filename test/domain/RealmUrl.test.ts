import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import {
  candidates,
  checkName,
  ofName,
  ofVersion,
  ofWhole,
  parse,
  type RealmUrl,
  splitPayload
} from "../../src/domain/RealmUrl.ts"

const publicUrl = "http://localhost:4201/" as RealmUrl
const parsed = (text: string) => Result.getOrUndefined(parse(text)) as string | undefined

describe("RealmUrl.parse", () => {
  it("gives every spelling of a URL one form", () => {
    for (
      const [text, url] of [
        ["http://localhost:4201/", "http://localhost:4201/"],
        ["HTTP://LocalHost:4201/Notes/", "http://localhost:4201/Notes/"],
        ["http://example.com:80/a/", "http://example.com/a/"],
        ["https://example.com:443/", "https://example.com/"],
        ["https://example.com:8443/", "https://example.com:8443/"],
        ["http://example.com/%c3%bc/", "http://example.com/%C3%BC/"],
        ["http://example.com/ü/", "http://example.com/%C3%BC/"],
        ["http://example.com/a b/", "http://example.com/a%20b/"],
        ["http://bücher.example/", "http://xn--bcher-kva.example/"],
        ["http://[::1]:4201/a/", "http://[::1]:4201/a/"],
        ["http://example.com/a/b/c/", "http://example.com/a/b/c/"]
      ] as const
    ) assert.strictEqual(parsed(text), url, text)
  })

  it("refuses what no realm may have", () => {
    for (
      const text of [
        "",
        "notes/",
        "/notes/",
        "ftp://example.com/",
        "file:///etc/",
        "javascript:alert(1)/",
        "http://",
        "http://example.com/notes",
        "http://example.com/?x/",
        "http://example.com/a/?",
        "http://example.com/a/#",
        "http://user@example.com/",
        "http://u:p@example.com/a/",
        "http://example.com/a/../b/",
        "http://example.com/./",
        "http://example.com/a/%2e%2e/",
        "http://example.com/%2E/",
        "http://example.com\\..\\a/",
        "http://example.com//a/",
        "http://example.com/a//",
        "http://example.com/a%2fb/",
        "http://example.com/a%5Cb/",
        "http://example.com/a%00/",
        "http://example.com/_private/",
        "http://example.com/a/_b/",
        "http://example.com/@12/",
        "http://example.com/a/@3/b/",
        "http://example.com/:a/",
        "http://example.com/a/:/",
        `http://example.com/${"a/".repeat(20)}`,
        `http://example.com/${"a".repeat(3_000)}/`
      ]
    ) assert.isUndefined(parsed(text), text)
  })

  it("a URL without a path is the root", () => {
    assert.strictEqual(parsed("http://example.com"), "http://example.com/")
  })

  it("says what is wrong, and does not repeat a huge text", () => {
    const failure = parse(`http://example.com/${"a".repeat(3_000)}/`)
    assert.isTrue(Result.isFailure(failure) && failure.failure.message.length < 300)
  })

  it.prop("is stable, and a request below a realm has the realm among its candidates", [
    Schema.Array(Schema.Literals(["a", "B", "ü", "%c3%bc", "%20", " ", "'", "~", "(", "!", "*", ":", "@", "+", "%41"]))
  ], ([pieces]) => {
    const url = parsed(`http://example.com/${pieces.join("")}/`)
    if (url === undefined) return
    assert.strictEqual(parsed(url), url)
    const pathname = new URL(url).pathname
    assert.include(candidates("http://example.com", `${pathname}x/y.ts`) as ReadonlyArray<string>, url)
    assert.deepStrictEqual(splitPayload(`${url}:a/b.ts`), { realmUrl: url, path: "a/b.ts" })
    assert.deepStrictEqual(splitPayload(`${url}:*`), { realmUrl: url, path: "*" })
  })
})

describe("names of source realms", () => {
  it("may have spaces and any script", () => {
    for (const name of ["notes", "my notes", "заметки", "100%", "a.b", "a'b", "x@y", "-", "😀", "a:b"]) {
      assert.strictEqual(Result.getOrUndefined(checkName(name)), name)
      const url = ofName(publicUrl, name)
      assert.strictEqual(parsed(url), url, name)
      assert.isTrue(url.startsWith(publicUrl))
      assert.include(candidates("http://localhost:4201", `${new URL(url).pathname}a.ts`), url)
    }
  })

  it("are refused where they could be a path, a secret or a version", () => {
    for (
      const name of [
        "",
        ".",
        "..",
        ".git",
        "_x",
        "@1",
        "a@1",
        "a/b",
        "a\\b",
        "a\0",
        "a\n",
        " a",
        "a ",
        "\ud800",
        "x".repeat(129),
        "ü".repeat(65)
      ]
    ) assert.isUndefined(Result.getOrUndefined(checkName(name)), JSON.stringify(name))
  })

  it.prop("every accepted name has a realm URL of its own", [Schema.String, Schema.String], ([one, other]) => {
    for (const name of [one, other]) {
      if (Result.isFailure(checkName(name))) return
      assert.strictEqual(parsed(ofName(publicUrl, name)), ofName(publicUrl, name))
    }
    if (one !== other) assert.notStrictEqual(ofName(publicUrl, one), ofName(publicUrl, other))
  })
})

describe("RealmUrl.candidates", () => {
  it("are every prefix that ends in a slash, longest first", () => {
    const found = (rawPath: string): ReadonlyArray<string> => candidates("http://h", rawPath)
    assert.deepStrictEqual(found("/a/b/c.ts"), ["http://h/a/b/", "http://h/a/", "http://h/"])
    assert.deepStrictEqual(found("/"), ["http://h/"])
    assert.deepStrictEqual(found("/a"), ["http://h/"])
    assert.deepStrictEqual(found("/%c3%bc/x"), ["http://h/%C3%BC/", "http://h/"])
    assert.deepStrictEqual(found(""), [])
  })

  it("are bounded, and the realm's own segments are among them however deep the file lies", () => {
    const many = candidates("http://h", "/realm" + "/a".repeat(1_000))
    assert.isAtMost(many.length, 16)
    assert.include(many as ReadonlyArray<string>, "http://h/realm/")
  })

  it("reach every realm that parse accepts", () => {
    const deepest = Array.from({ length: 30 }, (_, depth) => parsed(`http://h/${"a/".repeat(depth)}`)).findLast((url) =>
      url !== undefined
    )
    assert.isDefined(deepest)
    assert.include(candidates("http://h", new URL(deepest ?? "").pathname + "x") as ReadonlyArray<string>, deepest)
  })
})

describe("RealmUrl.splitPayload", () => {
  it("splits at the first slash and colon, so ports and schemes do not confuse it (S18)", () => {
    assert.deepStrictEqual(splitPayload("http://h:80/a/:x/:y.ts"), { realmUrl: "http://h:80/a/", path: "x/:y.ts" })
    for (const payload of ["", "http://h:80/a/", "http://h:80/a/:", "a:b", "/"]) {
      assert.isUndefined(splitPayload(payload), payload)
    }
  })

  it("a version's URL lies in its realm", () => {
    assert.strictEqual(ofVersion("http://h/a/" as RealmUrl, 12), "http://h/a/@12/")
  })
})

it("the realm of a version is that realm, and two realms whose names end alike are two", () => {
  const realm = "http://localhost:4201/notes/" as RealmUrl
  assert.strictEqual(ofWhole(realm), realm)
  assert.strictEqual(ofWhole(ofVersion(realm, 12)), realm)
  for (const name of ["notes@3", "notes@4"]) {
    const named = `http://localhost:4201/${name}/` as RealmUrl
    assert.strictEqual(ofWhole(named), named)
  }
})
