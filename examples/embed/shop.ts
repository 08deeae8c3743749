/**
 * A host that was there before Lockstep: an HTTP server with routes and a database of its own. Lockstep's routes are beside its
 * routes, below /modules/, and Lockstep's tables beside its table, behind the same pool.
 *
 *   DATABASE_URL=postgres://... PORT=3000 VERSIONS_DIR=/tmp/versions node examples/embed/shop.ts
 */
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import { layer as layerLockstep, layerRoutes, RealmUrl } from "lockstep"

// The host's own part.

const orders = HttpRouter.add(
  "GET",
  "/orders",
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql<{ item: string }>`SELECT item FROM orders ORDER BY id`
    return yield* HttpServerResponse.json({ orders: rows.map(({ item }) => item) })
  })
)

const home = HttpRouter.add(
  "GET",
  "/",
  HttpServerResponse.html(`<script type="module">
  import { hello } from "./modules/greetings/hello"
  document.body.append(hello("shop"))
</script>`)
)

const orderTable = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, item text NOT NULL)`
  yield* sql`INSERT INTO orders VALUES (1, 'tea'), (2, 'biscuits') ON CONFLICT DO NOTHING`
}))

const database = PgClient.layerConfig({
  url: Config.Redacted("DATABASE_URL"),
  maxConnections: Config.succeed(10)
})

// What Lockstep takes.

const directory = (name: string) => fileURLToPath(new URL(name, import.meta.url))

const lockstep = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Port("PORT")
  const publicUrl = RealmUrl.make(`http://localhost:${port}/modules/`)
  return layerRoutes({ publicUrl, access: "by-host" }).pipe(
    Layer.provide(layerLockstep({
      publicUrl,
      realmsDir: directory("realms"),
      versionsDir: yield* Config.String("VERSIONS_DIR"),
      replicaId: `shop-${process.pid}`,
      advertiseUrl: `http://localhost:${port}`,
      leaseMillis: 3000,
      cacheBytes: 64 * 2 ** 20,
      transpiler: { workers: 1 }
    }))
  )
}))

const server = Layer.unwrap(
  Effect.map(
    Config.Port("PORT"),
    (port) =>
      HttpRouter.serve(Layer.mergeAll(home, orders, lockstep), { disableListenLog: true }).pipe(
        Layer.tap(() => Console.log(`listening on http://localhost:${port}`)),
        Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port }))
      )
  )
)

NodeRuntime.runMain(Layer.launch(server.pipe(Layer.provide(orderTable), Layer.provide(database))))
