import * as http from "node:http"
import { Socket } from "node:net"
import { assert, it } from "@effect/vitest"
import { type PreparedHead, prepareHead, writeHead } from "../../src/http/preparedHead.ts"

const headers = { "content-type": "text/javascript", etag: `"a"`, "content-length": "3", vary: "accept" }

/** The lines of what would be sent. */
const sent = (write: (response: http.ServerResponse) => void) => {
  const response = new http.ServerResponse(new http.IncomingMessage(new Socket()))
  write(response)
  const [status, ...lines] = String((response as unknown as { readonly _header: unknown })._header).split("\r\n")
  return { status, lines: lines.filter((line) => !line.startsWith("Date: ")).toSorted() }
}

const plainly = ({ all, status }: PreparedHead) => (response: http.ServerResponse) => {
  response.writeHead(status, all)
}

it("what is sent is what Node would send of the same headers, its own among them", () => {
  for (const [status, given] of [[200, headers], [304, { etag: `"a"` }], [200, { "content-length": "0" }]] as const) {
    const head = prepareHead(status, given)
    const { lines, status: first } = sent((response) => writeHead(response, head))
    assert.deepStrictEqual({ lines, status: first }, sent(plainly(head)))
    assert.include(lines, "Connection: close")
    assert.strictEqual(first, `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}`)
  }
})

it("a header that would end its line is refused when the head is made", () => {
  assert.throws(() => prepareHead(200, { etag: "a\r\nset-cookie: b" }), /Invalid character/)
  assert.throws(() => prepareHead(200, { "a b": "c" }), /valid HTTP token/)
})
