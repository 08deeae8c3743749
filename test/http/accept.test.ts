import { assert, it } from "@effect/vitest"
import { sourceType, wantsHtml, wantsSource } from "../../src/http/accept.ts"

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

it("HTML is for who names it and likes it no less than JSON (RFC 9110, 12.5.1)", () => {
  for (
    const accept of [
      "text/html",
      browser,
      "application/json, text/html",
      "text/html;q=0.5",
      "application/json;q=0.4, text/html;q=0.5",
      "TEXT/html".toLowerCase(),
      "text/html;level=1;q=0.9, */*;q=0.9",
      "text/html;q=0.5, application/*;q=0.2, */*"
    ]
  ) assert.isTrue(wantsHtml(accept), accept)
  for (
    const accept of [
      "",
      "*/*",
      "text/*",
      "application/json",
      "application/json, text/html;q=0.1",
      "application/json, text/html; Q=0.1",
      "*/*, text/html;q=0.5",
      "application/*, text/html;q=0.5",
      "text/html;q=0",
      "text/html;q=0.000, */*;q=0",
      "text/html;q=none",
      "text/html-not"
    ]
  ) assert.isFalse(wantsHtml(accept), accept)
})

it("a module's source is for who names it and likes it no less than JavaScript", () => {
  assert.isTrue(wantsSource(sourceType))
  assert.isTrue(wantsSource(`*/*, ${sourceType}`))
  assert.isFalse(wantsSource("*/*"))
  assert.isFalse(wantsSource(`text/javascript, ${sourceType};q=0.5`))
  assert.isFalse(wantsSource(`${sourceType};q=0`))
})
