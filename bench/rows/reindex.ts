import { Effect, Schedule } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { seconds } from "../harness/format.ts"
import { startReplica } from "../harness/replica.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { RenderedAll, Rendering } from "../processes/bareRendering.ts"
import type { Row } from "../Row.ts"

const instances = 1000
const publishedRealm = "http://localhost:4201/published/"

const person = (version: number) =>
  `import { card } from "./card.ts"
export class Person {
  static isolated({ name, born }: { readonly name: string; readonly born: number }): string {
    return card(name, \`<p>born \${born}, version ${version}</p>\`)
  }
}
`
const card =
  "export const card = (title: string, body: string): string => `<article><h2>${title}</h2>${body}</article>`\n"
const instance = (number: number) =>
  JSON.stringify({
    data: {
      attributes: { name: `Person ${number}`, born: 1800 + number % 200 },
      meta: { adoptsFrom: { module: "./person", name: "Person" } }
    }
  })

const write = (directory: string, name: string, text: string) => writeFileSync(path.join(directory, name), text)

const request = <A>(url: string, body?: unknown) =>
  Effect.tryPromise({
    try: async () => {
      const response = await fetch(url, {
        signal: AbortSignal.timeout(30_000),
        ...body === undefined
          ? {}
          : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
      })
      return { status: response.status, json: await response.json() as A }
    },
    catch: (cause) => new BenchFailed({ detail: `${url}: ${String(cause)}` })
  })

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, scale } = yield* Workbench
  const children = yield* Children
  const realmsDir = yield* freshDirectory
  const directory = path.join(realmsDir, "people")
  mkdirSync(directory)
  write(directory, "card.ts", card)
  write(directory, "person.ts", person(0))
  for (let number = 0; number < instances; number++) write(directory, `person-${number}.json`, instance(number))
  const replica = yield* startReplica({
    databaseUrl: yield* freshDatabase,
    dataDir: yield* freshDirectory,
    realmsDir,
    // An edit that it noticed would have the source realm rendered too, beside what is measured.
    watch: false,
    worker: true
  })
  const counts = Effect.map(
    request<Readonly<Record<string, number>>>(`${replica.url}/_status`),
    ({ json }) => ({ renderings: json["renderings"] ?? 0, kept: json["renderingsKept"] ?? 0 })
  )

  /** From the publish's answer until the realm is ready; how many were rendered, and how many carried over. */
  const reindex = Effect.gen(function*() {
    const before = yield* counts
    const published = yield* request(`${replica.url}/_publish-realm`, {
      sourceRealmURL: "http://localhost:4201/people/",
      publishedRealmURL: publishedRealm
    })
    if (published.status !== 202) return yield* new BenchFailed({ detail: `a publish answered ${published.status}` })
    const began = performance.now()
    yield* request(`${replica.url}${new URL(publishedRealm).pathname}_readiness-check`).pipe(
      Effect.repeat({ until: ({ status }) => status === 200, schedule: Schedule.spaced("50 millis") }),
      Effect.timeoutOrElse({
        duration: "5 minutes",
        orElse: () => Effect.fail(new BenchFailed({ detail: "the reindex did not end" }))
      })
    )
    const millis = performance.now() - began
    const after = yield* counts
    return { millis, rendered: after.renderings - before.renderings, kept: after.kept - before.kept }
  })

  const expect = (name: string, measured: { readonly rendered: number; readonly kept: number }, rendered: number) =>
    measured.rendered === rendered && measured.kept === instances - rendered
      ? Effect.void
      : Effect.fail(new BenchFailed({ detail: `${name}: ${measured.rendered} rendered, ${measured.kept} kept` }))

  const all: Array<number> = []
  const one: Array<number> = []
  const none: Array<number> = []
  const bare: Array<number> = []
  for (let round = 1; round <= scale.longRounds; round++) {
    // Every instance is made from this module.
    write(directory, "person.ts", person(round))
    const everything = yield* reindex
    yield* expect("all", everything, instances)
    all.push(everything.millis)
    write(directory, "person-0.json", instance(round * 7))
    const edited = yield* reindex
    yield* expect("one", edited, 1)
    one.push(edited.millis)
    const nothing = yield* reindex
    yield* expect("none", nothing, 0)
    none.push(nothing.millis)
    const helper = yield* children.helper<Rendering, RenderedAll>(
      new URL("../processes/bareRendering.ts", import.meta.url)
    )
    const peer = yield* helper.ask({ directory }, 60_000)
    bare.push(peer.millis)
    const { json } = yield* request<{ readonly isolated_html: string }>(
      `${replica.url}${new URL(publishedRealm).pathname}_index?path=person-1`
    )
    if (json.isolated_html !== peer.html["person-1.json"]) {
      return yield* new BenchFailed({ detail: "the stored HTML and the bare rendering differ" })
    }
  }
  const rate = (walls: ReadonlyArray<number>) => `${Math.round(instances / median(walls) * 1000)} entries/s`
  const line = (name: string, walls: ReadonlyArray<number>) => ({
    name,
    lockstep: seconds(median(walls)),
    peer: { name: "bare rendering", figure: seconds(median(bare)) },
    ratio: ratios(bare, walls),
    also: { rate: `${rate(walls)} / ${rate(bare)}` }
  })
  return [
    line("all rendered: a module that they share was edited", all),
    line("one rendered: one instance was edited", one),
    line("none rendered: a publish without edits", none)
  ]
})

export const reindex: Row = {
  name: "reindex",
  title: `a publish of ${instances} instances until its HTML is ready`,
  run
}
