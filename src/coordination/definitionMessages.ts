import { Result, Schema } from "effect"
import { maxPayload } from "./changeMessages.ts"

/** What `module_cache_invalidated` says (S21): definitions of these modules, of a realm, or all are void. */
export const DefinitionMessage = Schema.Union([
  Schema.Struct({ k: Schema.Literal("module"), r: Schema.String, m: Schema.Array(Schema.String) }),
  Schema.Struct({ k: Schema.Literal("realm"), r: Schema.String }),
  Schema.Struct({ k: Schema.Literal("global") })
])
export type DefinitionMessage = typeof DefinitionMessage.Type

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(DefinitionMessage))

/** Reads a payload; undefined where it is none. */
export const readDefinitionMessage = (payload: string): DefinitionMessage | undefined =>
  Result.getOrUndefined(decode(payload))

const channel = "module_cache_invalidated" as const

const message = (content: DefinitionMessage) => ({ channel, payload: JSON.stringify(content) })

export const realmMessage = (realmUrl: string) => message({ k: "realm", r: realmUrl })

export const globalMessage = message({ k: "global" })

/** Modules of one realm by their URLs, in as many messages as PostgreSQL's limit makes of them. */
export const moduleMessages = (realmUrl: string, urls: ReadonlyArray<string>) => {
  const size = (of: ReadonlyArray<string>) => Buffer.byteLength(message({ k: "module", r: realmUrl, m: of }).payload)
  const empty = size([])
  const batches: Array<Array<string>> = []
  let room = 0
  for (const url of urls) {
    const bytes = Buffer.byteLength(JSON.stringify(url)) + 1
    // A URL that fits no message: everything of its realm does.
    if (empty + bytes > maxPayload) return [realmMessage(realmUrl)]
    if (bytes > room) {
      batches.push([])
      room = maxPayload - empty
    }
    batches.at(-1)?.push(url)
    room -= bytes
  }
  return batches.map((batch) => message({ k: "module", r: realmUrl, m: batch }))
}
