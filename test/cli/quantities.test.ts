import { assert, describe, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import {
  parseBaseUrl,
  parseDuration,
  parsePort,
  parseServerUrl,
  parseServerUrls,
  parseSize
} from "../../src/cli/quantities.ts"

const accepted = <A>(parse: (text: string) => Option.Option<A>, texts: ReadonlyArray<string>) =>
  texts.filter((text) => Option.isSome(parse(text)))

describe("quantities", () => {
  it("reads durations with a short or a long unit", () => {
    const millis = (text: string) => Option.getOrThrow(Option.map(parseDuration(text), Duration.toMillis))
    assert.strictEqual(millis("3s"), 3000)
    assert.strictEqual(millis("500ms"), 500)
    assert.strictEqual(millis("1.5m"), 90_000)
    assert.strictEqual(millis(" 2 min "), 120_000)
    assert.strictEqual(millis("3 seconds"), 3000)
    assert.strictEqual(millis("24h"), 86_400_000)
  })

  it("refuses durations without a unit, of nothing, below nothing, and of more than a day", () => {
    assert.deepStrictEqual(
      accepted(parseDuration, ["", "3", "s", "0s", "-1s", "3 x", "1e3s", "25h", "Infinity", "NaNs", "3s3s"]),
      []
    )
  })

  it("reads several servers, or none", () => {
    const urls = (text: string) => Option.getOrUndefined(parseServerUrls(text))
    assert.deepStrictEqual(urls(""), [])
    assert.deepStrictEqual(urls("http://a:1/, http://b:2"), ["http://a:1", "http://b:2"])
    assert.isUndefined(urls("http://a:1,b"))
  })

  it("reads sizes with decimal and binary units, or as bytes", () => {
    const bytes = (text: string) => Option.getOrThrow(parseSize(text))
    assert.strictEqual(bytes("256MiB"), 268_435_456)
    assert.strictEqual(bytes("1.5 GB"), 1_500_000_000)
    assert.strictEqual(bytes("65536"), 65_536)
  })

  it("refuses sizes below a kibibyte, without meaning, or beyond what counts exactly", () => {
    assert.deepStrictEqual(
      accepted(parseSize, ["", "0", "1023", "-1", "12 parsecs", "MiB", "99999999999999999999", "9000PB", "1,5GB"]),
      []
    )
  })

  it("reads ports from 0 to 65535 and nothing else", () => {
    assert.deepStrictEqual(parsePort("0"), Option.some(0))
    assert.deepStrictEqual(parsePort("65535"), Option.some(65_535))
    assert.deepStrictEqual(accepted(parsePort, ["", "65536", "-1", "80.5", "0x50", "eighty", "1e3", " 80"]), [])
  })

  it("gives a base URL its slash and its canonical form", () => {
    assert.deepStrictEqual(parseBaseUrl("HTTP://Example.com:80"), Option.some("http://example.com/"))
    assert.deepStrictEqual(parseBaseUrl("https://example.com/a"), Option.some("https://example.com/a/"))
    assert.deepStrictEqual(
      accepted(parseBaseUrl, ["", "example.com", "ftp://example.com/", "http://a/?b", "http://a/#b", "http://u:p@a/"]),
      []
    )
  })

  it("takes the slash off a server's URL, so that paths can follow", () => {
    assert.deepStrictEqual(parseServerUrl("http://localhost:4201/"), Option.some("http://localhost:4201"))
    assert.deepStrictEqual(parseServerUrl("http://a/b/"), Option.some("http://a/b"))
    assert.deepStrictEqual(accepted(parseServerUrl, ["localhost:4201", ""]), [])
  })
})
