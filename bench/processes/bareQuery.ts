/** The least that serving from the shared cache can cost: `node:http`, and one SELECT by key with Lockstep's driver. */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { PgClient } from "@effect/sql-pg"
import { Effect, ManagedRuntime, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { answerParent } from "./answerParent.ts"

export interface Database {
  readonly url: string
  readonly maxConnections: number
  /** Whose rows are served, under the same paths as in the realm. */
  readonly realmUrl: string
}

interface Row {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

const serve = async ({ maxConnections, realmUrl, url }: Database) => {
  const runtime = ManagedRuntime.make(PgClient.layer({ url: Redacted.make(url), maxConnections }))
  const sql = await runtime.runPromise(SqlClient.SqlClient)
  const prefix = new URL(realmUrl).pathname
  const statement = "SELECT body, headers FROM module_transpile_cache WHERE realm_url = $1 AND canonical_path = $2"
  const read = (path: string) => Effect.map(sql.unsafe<Row>(statement, [realmUrl, path]), (rows) => rows[0])

  const server = http.createServer((request, response) => {
    const path = decodeURI(request.url ?? "").slice(prefix.length)
    runtime.runPromise(read(path)).then((row) => {
      if (row === undefined) return response.writeHead(404, { "content-length": 0 }).end()
      const body = Buffer.from(row.body)
      return response.writeHead(200, { ...row.headers, "content-length": body.byteLength }).end(body)
    }, (cause) => response.writeHead(500, String(cause).slice(0, 200), { "content-length": 0 }).end())
  })
  return new Promise<number>((resolve) => {
    server.listen({ host: "127.0.0.1", port: 0 }, () => resolve((server.address() as AddressInfo).port))
  })
}

answerParent(serve)
