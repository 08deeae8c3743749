import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet, type Files, type Place } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"

/** An instance of `Person`, as JSON. */
export const person = (name: string, adoptsFrom = { module: "./person", name: "Person" }) =>
  JSON.stringify({ data: { attributes: { name }, meta: { adoptsFrom } } })

/** Two modules, each of which shows its version in the HTML, so that a mixture can be seen. */
export const modules = (version: number): Files => ({
  "card.ts": `export const card: (text: string) => string = (text) => \`<i>card \${${version}}</i>\${text}\``,
  "person.ts": `import { card } from "./card"
    export class Person {
      static async isolated(model: { name: string }): Promise<string> {
        return card(\`<b>person \${${version}}</b> \${model.name}\`)
      }
    }`
})

export const htmlOf = (version: number, name: string) => `<i>card ${version}</i><b>person ${version}</b> ${name}`

export const asHtml = { headers: { accept: "text/html" } }

/** Waits until a realm is ready at a replica. */
export const ready = (replica: Replica, place: Place, deadlineMillis?: number) =>
  eventually(
    `${place.url} is ready`,
    replica.ask(place.path("_readiness-check")),
    ({ status }) => status === 200,
    deadlineMillis
  )

/** What is stored of a realm. */
export const stored = Effect.fnUntraced(function*(place: Place) {
  const { sql } = yield* Fleet
  const rows = yield* sql(
    "SELECT path, isolated_html, error, generation::float8 AS generation, indexed_at::text AS indexed_at, dependencies " +
      "FROM realm_index WHERE realm_url = $1 ORDER BY path",
    [place.url]
  )
  return rows as ReadonlyArray<{
    readonly path: string
    readonly isolated_html: string | null
    readonly error: string | null
    readonly generation: number
    readonly indexed_at: string
    readonly dependencies: ReadonlyArray<{ readonly path: string; readonly hash: string | null }>
  }>
})

export const counter = (replica: Replica, name: string) =>
  Effect.map(replica.status, (status) => {
    assert.isNumber(status[name])
    return status[name] ?? 0
  })
