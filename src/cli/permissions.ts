import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { HttpClientRequest } from "effect/http"
import { Permissions } from "../api/Api.ts"
import { clientFlags, getFrom, post, print } from "./client.ts"
import { table } from "./table.ts"
import { urlArgument } from "./urlArgument.ts"

const realm = urlArgument("REALM_URL", "the realm; ends in a slash")
const user = Argument.String("USER").pipe(Argument.withDescription("the user's name: the subject (sub) of its tokens"))

/** `lockstep grant REALM_URL USER read|write|owner` */
export const grant = Command.make(
  "grant",
  {
    realm,
    user,
    permission: Argument.Literals("PERMISSION", ["read", "write", "owner"]).pipe(
      Argument.withDescription("read, write (and read), or owner (all of it, and to publish, delete and grant)")
    ),
    ...clientFlags
  },
  Effect.fnUntraced(function*({ permission, realm, user, ...flags }) {
    const body = yield* post(flags.server, "/_permissions", { realmURL: realm, user, permission })
    yield* print(flags, body, Permissions, describePermissions)
  })
).pipe(
  Command.withDescription("Let a user read, write or own a realm"),
  Command.withExamples([{ command: "lockstep grant http://localhost:4201/shop/ carol write --token-file admin-token" }])
)

/** `lockstep revoke REALM_URL USER` */
export const revoke = Command.make(
  "revoke",
  { realm, user, ...clientFlags },
  Effect.fnUntraced(function*({ realm, user, ...flags }) {
    const body = yield* post(flags.server, "/_permissions", { realmURL: realm, user, permission: "none" })
    yield* print(flags, body, Permissions, describePermissions)
  })
).pipe(
  Command.withDescription("Take a user's permission for a realm away"),
  Command.withExamples([{ command: "lockstep revoke http://localhost:4201/shop/ carol --token-file admin-token" }])
)

/** `lockstep permissions REALM_URL [--visibility public|private]` */
export const permissions = Command.make(
  "permissions",
  {
    realm,
    visibility: Flag.Literals("visibility", ["public", "private"]).pipe(
      Flag.withDescription("make the realm public, or private: read by nobody without permission"),
      Flag.optional
    ),
    ...clientFlags
  },
  Effect.fnUntraced(function*({ realm, visibility, ...flags }) {
    const body = Option.isSome(visibility)
      ? yield* post(flags.server, "/_permissions", { realmURL: realm, visibility: visibility.value })
      : yield* getFrom(flags.server, HttpClientRequest.get(`/_permissions?realmURL=${encodeURIComponent(realm)}`))
    yield* print(flags, body, Permissions, describePermissions)
  })
).pipe(
  Command.withDescription("Show who may do what with a realm, or change who may see it"),
  Command.withExamples([
    { command: "lockstep permissions http://localhost:4201/shop/" },
    { command: "lockstep permissions http://localhost:4201/shop/ --visibility private" }
  ])
)

export const describePermissions = ({ permissions, realmURL, visibility }: typeof Permissions.Type): string => {
  const what = visibility === null ? `${realmURL} is no realm yet` : `${realmURL} is ${visibility}`
  return permissions.length === 0
    ? `${what}; no user has permission`
    : `${what}\n${table(["USER", "PERMISSION"], permissions.map(({ permission, user }) => [user, permission]))}`
}
