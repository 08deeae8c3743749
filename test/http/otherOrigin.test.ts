import { assert, it } from "@effect/vitest"
import { isOfOtherOrigin } from "../../src/http/otherOrigin.ts"

const own = "http://modules.example:4201"

const cases: ReadonlyArray<readonly [Readonly<Record<string, string>>, boolean]> = [
  [{}, false],
  [{ "sec-fetch-site": "same-origin", "origin": own }, false],
  [{ "sec-fetch-site": "none" }, false],
  [{ "sec-fetch-site": "cross-site" }, true],
  // The browser's word counts for more than what the page could choose.
  [{ "sec-fetch-site": "cross-site", "origin": own }, true],
  [{ "sec-fetch-site": "same-site", "origin": "http://modules.example:3000" }, true],
  [{ "sec-fetch-site": "same-site", "origin": "http://neighbour.modules.example:4201" }, true],
  [{ origin: own }, false],
  // A proxy before us ends TLS.
  [{ origin: "https://modules.example:4201" }, false],
  [{ origin: "http://MODULES.example:4201" }, false],
  [{ origin: "http://modules.example" }, true],
  [{ origin: "http://evil.example" }, true],
  [{ origin: "null" }, true],
  [{ origin: "" }, true]
]

for (const [headers, foreign] of cases) {
  it(`a write with ${JSON.stringify(headers)} ${foreign ? "is refused" : "passes"}`, () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      assert.strictEqual(isOfOtherOrigin(method, headers, own), foreign, method)
    }
    for (const method of ["GET", "HEAD", "OPTIONS"]) assert.isFalse(isOfOtherOrigin(method, headers, own), method)
  })
}
