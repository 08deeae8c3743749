import { Console, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { HttpClientRequest } from "effect/http"
import { Definitions, Realms } from "../api/Api.ts"
import { type DefinitionFault, isFault } from "../domain/Definition.ts"
import { clientFlags, minGenerationFlag, tokenHeader, decodeAnswer, get, getFrom } from "./client.ts"
import { urlArgument } from "./urlArgument.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { table } from "./table.ts"

/** `lockstep definitions MODULE_URL [NAME]` */
export const definitions = Command.make(
  "definitions",
  {
    module: urlArgument("MODULE_URL", "a module; its extension may be left out"),
    name: Argument.String("NAME").pipe(
      Argument.withDescription("one of its exports, shown with its members"),
      Argument.optional
    ),
    minGeneration: minGenerationFlag,
    ...clientFlags
  },
  Effect.fnUntraced(function*({ json, minGeneration, module, name, server }) {
    const realm = yield* realmOf(server, module)
    const question = HttpClientRequest.get(`${new URL(realm).pathname}_definitions`).pipe(
      HttpClientRequest.setUrlParams({
        module: decodeURIComponent(new URL(module).pathname.slice(new URL(realm).pathname.length)),
        ...(Option.isSome(name) && { name: name.value })
      }),
      // The server is asked for the realm by its `Host`, whatever its own address is.
      HttpClientRequest.setHeaders({ host: new URL(realm).host, ...tokenHeader(minGeneration) })
    )
    const body = yield* getFrom(server, question)
    const answer = yield* decodeAnswer(server, body, Definitions)
    const fault = answer.error ?? (Option.isSome(name) ? answer.definitions.find(isFault)?.error : undefined)
    // A script takes the answer, and everybody the exit code.
    if (json) yield* Console.log(body)
    if (fault !== undefined) {
      const subject = Option.match(name, { onNone: () => "", onSome: (each) => `${each} of ` })
      return yield* new CommandFailed({
        message: `${subject}${answer.module} cannot be described: ${faultText(fault)}`
      })
    }
    if (!json) yield* Console.log(describeDefinitions(answer))
  })
).pipe(
  Command.withDescription("Show what a module exports, with inherited members"),
  Command.withExamples([
    {
      command: "lockstep definitions http://localhost:4201/notes/person",
      description: "everything that a module exports"
    },
    {
      command: "lockstep definitions http://localhost:4201/notes/person Person",
      description: "one export, with its members"
    }
  ])
)

/** The realm that the module lies in, among those that are served. */
const realmOf = Effect.fnUntraced(function*(server: string, module: string) {
  const { href } = new URL(module)
  const { realms } = yield* decodeAnswer(server, yield* get(server, "/_realms"), Realms)
  const found = realms.find(({ url }) => href.startsWith(url))
  if (found === undefined) {
    return yield* new CommandFailed({
      message: `no realm of ${server} has ${module}: "lockstep realms" lists those that are served`
    })
  }
  return found.url
})

type Answer = typeof Definitions.Type

/** A table of exports; of a single class, its members as well. */
export const describeDefinitions = ({ definitions, dependencies, module }: Answer): string => {
  if (definitions.length === 0) return `${module} exports nothing`
  const blocks = [
    table(
      ["EXPORT", "KIND", "DECLARED", "SUMMARY"],
      definitions.map((each) =>
        isFault(each)
          ? [each.name, "error", "-", each.error.detail]
          : [each.name, each.kind, declared(each.declared, module, each.line), each.summary ?? ""]
      )
    )
  ]
  const [only] = definitions
  if (definitions.length === 1 && only !== undefined && !isFault(only) && only.members !== undefined) {
    const { ancestors = [], beyond, members } = only
    const line = [...ancestors.map((each) => each.name), ...(beyond === undefined ? [] : [`${beyond} (not followed)`])]
    if (line.length > 0) blocks.push(`inherits from ${line.join(", then ")}`)
    if (members.length > 0) {
      blocks.push(table(
        ["MEMBER", "KIND", "VALUE", "FROM"],
        members.map(({ call, decorators = [], from, kind, line, name, static: isStatic }) => [
          `${decorators.map((each) => `@${each.name} `).join("")}${name}`,
          isStatic ? `static ${kind}` : kind,
          call === undefined ? "" : `${call.name}(${call.argument?.name ?? ""})`,
          `${from.name}, ${declared(from, module, line)}`
        ])
      ))
    }
  }
  if (dependencies.length > 0) {
    blocks.push(`made from these modules too:\n${dependencies.map((each) => `  ${each}`).join("\n")}`)
  }
  return blocks.join("\n\n")
}

const faultText = ({ detail, line }: DefinitionFault) => line === null ? detail : `${detail} (line ${line})`

/** The place, short where it is the module itself. */
const declared = (ref: { readonly module: string; readonly name: string }, module: string, line: number): string =>
  ref.module === module ? `line ${line}` : line === 0 ? ref.module : `${ref.module}:${line}`
