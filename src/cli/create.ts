import { resolve } from "node:path"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Created } from "../api/Api.ts"
import { clientFlags, post, print, privateFlag } from "./client.ts"

/** `lockstep create NAME [--from DIR]` */
export const create = Command.make(
  "create",
  {
    name: Argument.String("NAME").pipe(
      Argument.withDescription("the last part of the realm's URL, and its directory among the server's realms")
    ),
    from: Flag.String("from").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDescription("copy this directory of the server's machine into the realm"),
      Flag.optional
    ),
    private: privateFlag("only who is given permission may read it (public)"),
    ...clientFlags
  },
  Effect.fnUntraced(function*({ from, name, private: isPrivate, ...flags }) {
    const body = yield* post(flags.server, "/_create-realm", {
      name,
      ...(isPrivate ? { private: true } : {}),
      // The server works elsewhere: what is relative is relative to whoever types it.
      ...Option.match(from, { onNone: () => ({}), onSome: (directory) => ({ from: resolve(directory) }) })
    })
    yield* print(flags, body, Created, ({ generation, realmURL }) => `created ${realmURL} (generation ${generation})`)
  })
).pipe(
  Command.withDescription("Make a source realm"),
  Command.withExamples([
    { command: "lockstep create notes", description: "an empty source realm" },
    {
      command: "lockstep create notes --from ./drafts/notes",
      description: "with a copy of a directory of the server's machine"
    }
  ])
)
