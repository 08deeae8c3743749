import { Effect } from "effect"
import * as path from "node:path"
import { Children } from "../harness/Children.ts"
import { kilobytes } from "../harness/format.ts"
import { compareHits, connections, startHammer } from "../harness/hits.ts"
import { pathOf, sourceRealm, startReplica } from "../harness/replica.ts"
import { page, publish, publishedRealm } from "../harness/request.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Serving } from "../processes/viteServer.ts"
import type { Row } from "../Row.ts"

const module = "Trie.ts"

/** Vite has one kind of file: those that are edited. Both of ours are held against it. */
const cases = [
  { label: "published realm", path: new URL(publishedRealm).pathname + module, revalidate: false, bar: 2 },
  { label: "published realm, 304", path: new URL(publishedRealm).pathname + module, revalidate: true, bar: undefined },
  { label: "source realm", path: new URL(sourceRealm).pathname + module, revalidate: false, bar: undefined }
]

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, realmsDir } = yield* Workbench
  const children = yield* Children
  const replica = yield* startReplica({ databaseUrl: yield* freshDatabase, dataDir: yield* freshDirectory })
  yield* publish(replica.url)
  const vite = yield* children.helper<Serving, number>(new URL("../processes/viteServer.ts", import.meta.url))
  const port = yield* vite.ask({ root: path.dirname(path.join(realmsDir, pathOf(module))) }, 60_000)
  const theirs = yield* page(`http://127.0.0.1:${port}`, `/${module}`)
  const hammer = yield* startHammer
  return yield* Effect.forEach(
    cases,
    ({ bar, label, path, revalidate }) =>
      Effect.flatMap(page(replica.url, path), (ours) =>
        compareHits(
          revalidate
            ? label
            : `${label} (${kilobytes(ours.body.byteLength)}, Vite ${kilobytes(theirs.body.byteLength)})`,
          { pid: replica.pid, port: replica.port, page: ours, head: "x-lockstep-cache: l1" },
          { name: "Vite", pid: vite.pid, port, page: theirs, head: "" },
          { hammer, revalidate, bar }
        ))
  )
})

export const vite: Row = {
  name: "vite",
  title: `One warmed module over HTTP, ${connections} connections, beside Vite's dev server`,
  run
}
