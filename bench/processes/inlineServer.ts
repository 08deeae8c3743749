/** What a module server is that transpiles where it answers: modules from a Map, and others by Babel in the event loop. */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { defaultPipelineOptions } from "../../src/transpile/babelOptions.ts"
import { makePipeline } from "../../src/transpile/pipeline.ts"
import { answerParent } from "./answerParent.ts"
import type { Page } from "./bareServer.ts"

export interface Serving {
  readonly page: Page
  /** What every other path is transpiled from. */
  readonly source: string
}

const { transpile } = makePipeline(defaultPipelineOptions)

const serve = ({ page, source }: Serving) => {
  const type = { "content-type": "text/javascript; charset=utf-8" }
  const bytes = Buffer.from(source)
  const server = http.createServer((request, response) => {
    if (request.url === page.path) {
      return response.writeHead(200, { ...type, "content-length": page.body.byteLength }).end(page.body)
    }
    const answer = transpile("module.ts", bytes)
    if (answer._tag === "Rejected") return response.writeHead(422, { "content-length": 0 }).end()
    const body = Buffer.from(answer.value.code)
    return response.writeHead(200, { ...type, "content-length": body.byteLength }).end(body)
  })
  return new Promise<number>((resolve) => {
    server.listen({ host: "127.0.0.1", port: 0 }, () => resolve((server.address() as AddressInfo).port))
  })
}

answerParent(serve)
