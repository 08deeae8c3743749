import { Option, Schema } from "effect"

// Whatever answers may be a proxy: nothing of a problem but its shape is relied upon.
const Problem = Schema.fromJsonString(Schema.Struct({
  type: Schema.optionalKey(Schema.String),
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

const byType: Readonly<Record<string, string>> = {
  "urn:lockstep:realm-not-found": "\"lockstep realms\" lists those that are served",
  "urn:lockstep:realm-conflict": "\"lockstep realms\" shows what is where",
  "urn:lockstep:generation-ahead":
    "it may be another realm's, or was lost when PostgreSQL was restored: leave out --min-generation",
  "urn:lockstep:database-unavailable": "try again in a moment; \"lockstep doctor\" looks at the database",
  "urn:lockstep:file-failure": "\"lockstep doctor\" looks at the directories"
}

const byStatus: Readonly<Record<number, string>> = {
  401: "give a token that the server knows with --token-file FILE or LOCKSTEP_TOKEN",
  403: "the token does not allow this: use another one, or ask who owns the realm",
  429: "the server limits how much it is asked: wait a moment, and try again",
  500: "the replica's log says more",
  502: "what stands in front of the replicas said so: name a replica itself with --server",
  503: "try again in a moment",
  504: "what stands in front of the replicas said so: name a replica itself with --server"
}

/** What to do about a failed answer, where that can be said. */
export const hintFor = (status: number, body: string): string | undefined =>
  Option.match(decode(body), {
    onNone: () =>
      byStatus[status] ??
        "does --server or LOCKSTEP_SERVER name a Lockstep server? \"lockstep status\" shows what answers",
    onSome: ({ type = "" }) => byType[type] ?? byStatus[status]
  })
