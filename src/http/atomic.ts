import { Effect, Option, Result, Schema } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { InvalidInput } from "../domain/errors.ts"
import type { Wait } from "../lifecycle/Invalidation.ts"
import { deleteAllFiles, editAtomically, maxOperations } from "../lifecycle/write.ts"
import type { Operation } from "../realms/RealmFiles.ts"
import { readBody } from "./body.ts"
import { payloadTooLarge, tooManyOperations } from "./problems.ts"
import type { RequestedRealm } from "./RequestedRealm.ts"

/** `?wait=all`: answer when every live replica has applied the change. */
export const waitOf = (query: URLSearchParams): Wait => query.get("wait") === "all" ? "all" : "soon"

/** What every write answers: the new generation, in the header too. */
export const written = (
  { generation, ...fields }: {
    readonly realmURL: string
    readonly generation: number
    readonly [field: string]: unknown
  },
  status = 200
) =>
  HttpServerResponse.jsonUnsafe({ ...fields, generation }, {
    status,
    headers: { "x-lockstep-generation": String(generation), "cache-control": "no-store" }
  })

const Batch = Schema.fromJsonString(Schema.Struct({
  operations: Schema.Array(Schema.Union([
    Schema.Struct({ op: Schema.Literals(["add", "update"]), path: Schema.String, content: Schema.String }),
    Schema.Struct({ op: Schema.Literal("remove"), path: Schema.String, content: Schema.optionalKey(Schema.Never) })
  ]))
}))
const decodeBatch = Schema.decodeUnknownResult(Batch)

const toOperation = (operation: typeof Batch.Type["operations"][number]): Operation =>
  operation.op === "remove"
    ? { op: "remove", path: operation.path }
    : { op: operation.op, path: operation.path, bytes: Buffer.from(operation.content) }

/** Bytes that are no text are refused: what is stored must be what was meant. */
const textOf = (body: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body)
  } catch {
    return undefined
  }
}

/** `POST <realm>_atomic`: all of the operations or none. */
export const atomic = Effect.fnUntraced(function*(
  request: HttpServerRequest.HttpServerRequest,
  { view }: RequestedRealm,
  query: URLSearchParams
) {
  const { realmUrl } = view.row
  const body = yield* readBody(request)
  if (Option.isNone(body)) return payloadTooLarge("16 MiB")
  const text = textOf(body.value)
  if (text === undefined) return yield* new InvalidInput({ detail: "the body is not UTF-8" })
  const batch = decodeBatch(text)
  if (Result.isFailure(batch)) {
    return yield* new InvalidInput({
      detail:
        "the body must be JSON: {\"operations\":[{\"op\":\"add\"|\"update\"|\"remove\",\"path\":...,\"content\":...}]}, " +
        "where path and content are strings, and remove has no content"
    })
  }
  const { operations } = batch.success
  if (operations.length > maxOperations) return tooManyOperations(maxOperations)
  const broken = operations.find((operation) => operation.op !== "remove" && !operation.content.isWellFormed())
  if (broken !== undefined) {
    return yield* new InvalidInput({
      detail: `the content of ${broken.path} has half of a character: a lone surrogate`
    })
  }
  const { generation, outcomes, replicas } = yield* editAtomically(
    realmUrl,
    operations.map(toOperation),
    waitOf(query)
  )
  const files = operations.map(({ path }, index) => ({ path, outcome: outcomes[index] }))
  return written({ realmURL: realmUrl, generation, files, replicas })
})

/** `DELETE <realm>?all=true`: every file of the realm, which stays, empty. */
export const removeAll = Effect.fnUntraced(function*({ view }: RequestedRealm, query: URLSearchParams) {
  const { realmUrl } = view.row
  if (query.get("all") !== "true") {
    return yield* new InvalidInput({
      detail:
        "DELETE of a realm's URL removes all of its files: say so with ?all=true. POST /_delete-realm removes the realm"
    })
  }
  const { generation, removed, replicas } = yield* deleteAllFiles(realmUrl, waitOf(query))
  return written({ realmURL: realmUrl, generation, removed, replicas })
})
