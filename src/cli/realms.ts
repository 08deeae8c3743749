import { Effect } from "effect"
import { Command } from "effect/cli"
import { Realms } from "../api/Api.ts"
import { clientFlags, get, print } from "./client.ts"
import { table } from "./table.ts"

/** `lockstep realms` */
export const realms = Command.make(
  "realms",
  clientFlags,
  Effect.fnUntraced(function*(flags) {
    yield* print(flags, yield* get(flags.server, "/_realms"), Realms, describeRealms)
  })
).pipe(
  Command.withDescription("List the realms that are served"),
  Command.withExamples([
    { command: "lockstep realms" },
    { command: "lockstep realms --json", description: "for a script" }
  ])
)

export const describeRealms = ({ realms }: typeof Realms.Type): string =>
  realms.length === 0
    ? "no realms yet: make one with \"lockstep create NAME\""
    : table(
      ["URL", "KIND", "GENERATION", "SOURCE", "LAST PUBLISHED"],
      realms.map((
        { generation, kind, lastPublishedAt = "-", sourceURL = "-", url, visibility }
      ) => [
        url,
        visibility === undefined ? kind : `${kind}, ${visibility}`,
        String(generation),
        sourceURL,
        lastPublishedAt
      ])
    )
