import { Effect, Result } from "effect"
import { InvalidInput } from "../domain/errors.ts"
import { parse } from "../domain/ModulePath.ts"

/**
 * A path within the realm, given in a parameter: what the files' own URLs refuse, because it could mean another place, is
 * refused here as well. `./` before it is left out.
 */
export const pathIn = Effect.fnUntraced(function*(query: URLSearchParams, parameter: string, endpoint: string) {
  const path = query.get(parameter)?.replace(/^\.\//, "") ?? ""
  if (path === "") {
    return yield* new InvalidInput({ detail: `${endpoint} needs ?${parameter}=, a path within the realm` })
  }
  // What a query has in place of bytes that are not UTF-8.
  if (path.includes("\ufffd")) {
    return yield* new InvalidInput({
      detail: `?${parameter}= has a percent sign that does not begin an encoded UTF-8 character`
    })
  }
  return yield* Effect.fromResult(Result.mapError(parse(path), ({ detail }) =>
    new InvalidInput({
      detail: `?${parameter}=${path}: ${detail}`
    })))
})
