import { Effect } from "effect"
import { Children } from "../harness/Children.ts"
import { kilobytes } from "../harness/format.ts"
import { compareHits, connections, startHammer } from "../harness/hits.ts"
import { printHottest, type Stretch } from "../harness/profile.ts"
import { sourceRealm, startReplica } from "../harness/replica.ts"
import { page, pageAsSaid, publish, publishedRealm } from "../harness/request.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Page } from "../processes/bareServer.ts"
import type { Line, Row } from "../Row.ts"

interface Case {
  readonly label: string
  readonly module: string
  readonly realm: string
  readonly revalidate: boolean
  /** The peer says all that Lockstep says: what is left is Lockstep's own work. */
  readonly asSaid?: boolean
}

/** Real modules of about these sizes as JavaScript. A published realm is what visitors are served from. */
const cases: ReadonlyArray<Case> = [
  { label: "2 KB", module: "RegExp.ts", realm: publishedRealm, revalidate: false },
  { label: "2 KB", module: "RegExp.ts", realm: publishedRealm, revalidate: false, asSaid: true },
  { label: "18 KB", module: "Trie.ts", realm: publishedRealm, revalidate: false },
  { label: "78 KB", module: "SchemaRepresentation.ts", realm: publishedRealm, revalidate: false },
  { label: "304", module: "Trie.ts", realm: publishedRealm, revalidate: true },
  { label: "304", module: "Trie.ts", realm: publishedRealm, revalidate: true, asSaid: true },
  { label: "18 KB, source realm", module: "Trie.ts", realm: sourceRealm, revalidate: false }
]

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, profileDir } = yield* Workbench
  const children = yield* Children
  const replica = yield* startReplica({
    databaseUrl: yield* freshDatabase,
    dataDir: yield* freshDirectory,
    profiled: true
  })
  yield* publish(replica.url)
  const pages = yield* Effect.forEach(
    cases,
    ({ module, realm }) => page(replica.url, new URL(realm).pathname + module)
  )
  const bare = yield* children.helper<ReadonlyArray<Page>, number>(
    new URL("../processes/bareServer.ts", import.meta.url)
  )
  const asked = yield* Effect.forEach(cases, (each, index) => {
    const page = pages[index] as Page
    return Effect.map(
      each.asSaid === true ? pageAsSaid(replica.url, page) : Effect.succeed(page),
      (bare) => ({ ...each, page, bare })
    )
  })
  const barePort = yield* bare.ask(asked.map(({ bare }) => bare), 10_000)
  const hammer = yield* startHammer

  const lines = new Array<Line>()
  const stretches = new Array<Stretch>()
  for (const { asSaid = false, bare: theirs, label, page, realm, revalidate } of asked) {
    const from = process.hrtime.bigint()
    lines.push(
      yield* compareHits(
        revalidate ? label : `${label} (${kilobytes(page.body.byteLength)})`,
        { pid: replica.pid, port: replica.port, page, head: "x-lockstep-cache: l1" },
        {
          name: asSaid ? "node:http, as many headers" : "node:http",
          pid: bare.pid,
          port: barePort,
          page: theirs,
          head: ""
        },
        { hammer, revalidate, bar: realm === publishedRealm && !asSaid ? 0.85 : undefined }
      )
    )
    stretches.push({ name: label, from, to: process.hrtime.bigint() })
  }
  yield* replica.stop
  if (profileDir !== undefined) yield* printHottest(profileDir, replica.pid, stretches)
  return lines
})

export const l1Hit: Row = {
  name: "l1-hit",
  title: `Hits in memory, over HTTP, ${connections} connections, each waiting for its answer`,
  run
}
