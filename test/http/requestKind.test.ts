import { assert, describe, it } from "@effect/vitest"
import { HttpServerResponse } from "effect/http"
import { kindOf, statusClass } from "../../src/http/requestKind.ts"

const answer = (headers: Readonly<Record<string, string>> = {}) => HttpServerResponse.empty({ headers })

describe("what a request was for", () => {
  it("is one of nine, whatever the path", () => {
    const kinds = [
      ["GET", "/notes/person", answer({ "x-lockstep-cache": "l1" }), "module"],
      ["HEAD", "/notes/person", answer({ "x-lockstep-cache": "l1" }), "module"],
      ["GET", "/notes/broken.ts", answer(), "module"],
      ["GET", "/notes/logo.png", answer({ "content-type": "image/png" }), "file"],
      ["GET", "/notes/alice", answer({ "content-type": "text/html; charset=utf-8" }), "rendering"],
      ["GET", "/notes/_index", answer(), "rendering"],
      ["GET", "/notes/deep/", answer(), "listing"],
      ["GET", "/notes/_definitions", answer(), "definitions"],
      ["GET", "/notes/_readiness-check", answer(), "readiness"],
      ["PUT", "/notes/a.ts", answer(), "write"],
      ["POST", "/notes/_atomic", answer(), "write"],
      ["GET", "/_health", answer(), "probe"],
      ["POST", "/_publish-realm", answer(), "management"],
      ["GET", "/_no/such/thing", answer(), "management"]
    ] as const
    for (const [method, path, response, kind] of kinds) {
      assert.strictEqual(kindOf(method, path, response), kind, `${method} ${path}`)
    }
  })

  it("has a class of status", () => {
    assert.deepStrictEqual([200, 304, 404, 503].map(statusClass), ["2xx", "3xx", "4xx", "5xx"])
  })
})
