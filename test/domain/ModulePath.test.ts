import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as path from "node:path"
import {
  aliasCandidates,
  aliasOf,
  decode,
  encode,
  isExecutable,
  isHidden,
  isReserved,
  maxPathLength,
  parse,
  splitVersion
} from "../../src/domain/ModulePath.ts"

const decoded = (raw: string) => Result.getOrUndefined(decode(raw))

describe("ModulePath.decode", () => {
  it("decodes what a request may ask for", () => {
    for (
      const [raw, plain] of [
        ["", ""],
        ["person.ts", "person.ts"],
        ["cards/person.gts", "cards/person.gts"],
        ["cards/", "cards/"],
        ["a%20b/%C3%BC.ts", "a b/ü.ts"],
        ["%E2%9C%93/%F0%9F%98%80.js", "✓/😀.js"],
        ["...", "..."],
        ["..a/a..", "..a/a.."],
        [".well-known/x", ".well-known/x"],
        ["a+b&c=d", "a+b&c=d"],
        ["%2500", "%00"],
        ["%252e%252e/x", "%2e%2e/x"],
        ["a:b", "a:b"]
      ] as const
    ) assert.strictEqual(decoded(raw), plain, raw)
  })

  it("refuses whatever could mean another place", () => {
    for (
      const raw of [
        "..",
        ".",
        "../x",
        "a/../b",
        "a/./b",
        "a/..",
        "%2e%2e/x",
        "%2E%2E",
        ".%2e/x",
        "a/%2e/b",
        "/",
        "/etc/passwd",
        "a//b",
        "//",
        "a%2fb",
        "a%2Fb",
        "..%2fx",
        "a%5cb",
        "..%5c..%5cx",
        "a\\b",
        "%00",
        "a%00.ts",
        "a\0b",
        "a%0ab",
        "a%7fb",
        "%",
        "%2",
        "%zz",
        "%ff",
        "%c0%ae%c0%ae/x",
        "%ed%a0%80",
        "x".repeat(256),
        "%C3%BC".repeat(128),
        "a/".repeat(maxPathLength)
      ]
    ) assert.isUndefined(decoded(raw), raw)
  })

  it("says what is wrong", () => {
    const failure = decode("a%2fb")
    assert.isTrue(Result.isFailure(failure) && failure.failure.message.includes("slash"))
  })

  it.prop("never yields a path that leaves a directory, and comes back from its URL form", [
    Schema.Array(Schema.Literals([
      "..",
      ".",
      "%2e",
      "%2E%2e",
      "/",
      "//",
      "\\",
      "%2f",
      "%5C",
      "%00",
      "\0",
      "a",
      "b.ts",
      "ü",
      "%C3%BC",
      "%",
      "%25",
      "@1",
      "_x",
      ":",
      " ",
      "\n",
      "\ud800",
      "😀"
    ]))
  ], ([pieces]) => {
    const raw = pieces.join("")
    const result = decode(raw)
    if (Result.isFailure(result)) return
    const plain = result.success
    const real = path.resolve("/realm", plain)
    assert.isTrue(real === "/realm" || real.startsWith("/realm/"), raw)
    assert.strictEqual(path.normalize(`/realm/${plain}`), `/realm/${plain}`, raw)
    assert.notInclude(plain, "\0")
    assert.deepStrictEqual(decode(encode(plain)), result, raw)
  })
})

describe("ModulePath.parse", () => {
  it.prop("what it accepts has a URL that decodes to it, and stays in the realm", [Schema.String], ([text]) => {
    const result = parse(text)
    if (Result.isFailure(result)) return
    assert.strictEqual(decoded(encode(text)), text)
    assert.isTrue(path.resolve("/realm", text).startsWith("/realm/"))
  })

  it("takes a file's plain path, percent signs and all", () => {
    for (const plain of ["a.ts", "a b/ü.ts", "100%.ts", "%2e%2e", "?x#y"]) {
      assert.strictEqual(Result.getOrUndefined(parse(plain)), plain)
    }
  })

  it("refuses directories, traversal, text that no URL can carry, and paths whose URL is too long", () => {
    for (
      const plain of [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "../a",
        "a/..",
        ".",
        "a\\b",
        "a\0",
        "a\nb",
        "\ud800.ts",
        "a/\udc00",
        "ü/".repeat(1_000) + "a",
        "x".repeat(maxPathLength + 1),
        "x".repeat(256)
      ]
    ) assert.isUndefined(Result.getOrUndefined(parse(plain)), JSON.stringify(plain.slice(0, 40)))
  })
})

describe("names of modules", () => {
  it("are executable by their last extension", () => {
    for (const name of ["a.gts", "a.ts", "a.tsx", "a.gjs", "a.js", "a.jsx", "a.mts", "a.mjs", "a.d.ts", "x/.ts"]) {
      assert.isTrue(isExecutable(name), name)
    }
    for (const name of ["a", "a.json", "a.ts.txt", "a.TS", "ts", "a.cts", "a.ts/", "a.ts\n"]) {
      assert.isFalse(isExecutable(name), name)
    }
  })

  it("have an alias without extension, which lists them among its candidates", () => {
    assert.strictEqual(aliasOf("cards/person.gts"), "cards/person")
    assert.strictEqual(aliasOf("a.test.ts"), "a.test")
    assert.isUndefined(aliasOf("a.json"))
    assert.deepStrictEqual(aliasCandidates("a").slice(0, 5), ["a.gts", "a.ts", "a.tsx", "a.gjs", "a.js"])
    for (const candidate of aliasCandidates("x/a")) assert.strictEqual(aliasOf(candidate), "x/a")
    assert.deepStrictEqual(aliasCandidates(""), [])
    assert.deepStrictEqual(aliasCandidates("dir/"), [])
  })

  it("are hidden below any name that begins with a dot", () => {
    for (const name of [".env", "a/.git/config", ".a/b"]) assert.isTrue(isHidden(name), name)
    for (const name of ["a", "a.b", ".well-known/x", "a/b."]) assert.isFalse(isHidden(name), name)
  })

  it("are reserved at the root only", () => {
    for (const name of ["_atomic", "_x/y", "@12/a.ts", "@0"]) assert.isTrue(isReserved(name), name)
    for (const name of ["a/_x", "@a/b", "@12a", "a/@12/b", "x_"]) assert.isFalse(isReserved(name), name)
  })

  it("may carry a version", () => {
    assert.deepStrictEqual(splitVersion("@12/a/b.ts"), { generation: 12, path: "a/b.ts" })
    assert.deepStrictEqual(splitVersion("@0/"), { generation: 0, path: "" })
    // A number that would be rounded to another one's.
    assert.isUndefined(splitVersion("@9007199254740993/a"))
    for (const name of ["@12", "@/a", "@-1/a", "@1.5/a", "@12345678901234567/a", "a/@1/b", "12/a"]) {
      assert.isUndefined(splitVersion(name), name)
    }
  })
})
