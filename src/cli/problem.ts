import { Option, Schema } from "effect"

// Whatever answers may be a proxy: nothing of a problem but its shape is relied upon.
const Problem = Schema.fromJsonString(Schema.Struct({
  title: Schema.String,
  detail: Schema.optionalKey(Schema.String)
}))

const decode = Schema.decodeUnknownOption(Problem)

/** What a failed answer says, in one line: an RFC 9457 problem's title and detail, or else its status and beginning. */
export const describeProblem = (status: number, body: string): string =>
  Option.match(decode(body), {
    onNone: () => `the server answered ${status}${excerpt(body)}`,
    onSome: ({ detail, title }) => detail === undefined ? title : `${title}: ${detail}`
  })

const excerpt = (body: string) => {
  const line = body.replace(/\s+/g, " ").trim()
  return line === "" ? "" : `: ${line.length > 200 ? `${line.slice(0, 200)}...` : line}`
}
