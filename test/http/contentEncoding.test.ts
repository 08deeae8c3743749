import { assert, it } from "vitest"
import { codingFor, isCompressible } from "../../src/http/contentEncoding.ts"

it("the best coding that the client takes is chosen (RFC 9110)", () => {
  const cases: ReadonlyArray<readonly [string | undefined, string]> = [
    [undefined, "identity"],
    ["", "identity"],
    ["gzip", "gzip"],
    ["gzip, deflate, br, zstd", "br"],
    ["br;q=0, gzip", "gzip"],
    ["br;q=0.5, gzip;q=0.8", "gzip"],
    ["br;q=0, gzip;q=0", "identity"],
    ["*", "br"],
    ["*;q=0", "identity"],
    ["deflate", "identity"],
    ["identity;q=1, gzip;q=0.5", "identity"],
    ["GZIP", "gzip"],
    ["gzip;q=nonsense", "identity"],
    [";;;,,,", "identity"]
  ]
  for (const [header, coding] of cases) {
    assert.strictEqual(codingFor(header), coding, header)
    assert.strictEqual(codingFor(header), coding, header)
  }
})

it("however many lists clients send, the answer is the same and the memory bounded", () => {
  for (let index = 0; index < 1000; index++) assert.strictEqual(codingFor(`gzip, x-${index}`), "gzip")
})

it("text is compressed, what is small or compressed already is not", () => {
  assert.isTrue(isCompressible("text/javascript; charset=utf-8", 5000))
  assert.isTrue(isCompressible("application/json", 5000))
  assert.isTrue(isCompressible("image/svg+xml", 5000))
  assert.isFalse(isCompressible("text/javascript", 100))
  assert.isFalse(isCompressible("image/png", 5000))
  assert.isFalse(isCompressible("application/zip", 5000))
})
