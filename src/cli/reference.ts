import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option } from "effect"
import { CliOutput, Command, type HelpDoc } from "effect/cli"
import { layerBuiltIns, lockstep } from "./program.ts"

/** What `--help` says of a command, as data. */
export interface Entry {
  /** `lockstep publish` */
  readonly name: string
  readonly doc: HelpDoc.HelpDoc
}

const helpOf = Effect.fnUntraced(function*(path: ReadonlyArray<string>) {
  const docs: Array<HelpDoc.HelpDoc> = []
  const presenter: CliOutput.Presenter = {
    present: (event) => Effect.sync(() => void (event._tag === "Help" && docs.push(event.helpDoc)))
  }
  yield* Command.runWith(lockstep, { version: "" })([...path, "--help"]).pipe(
    Effect.provide(Layer.mergeAll(NodeServices.layer, layerBuiltIns, CliOutput.layerPresenter(presenter))),
    Effect.orDie
  )
  const [doc] = docs
  return doc === undefined
    ? yield* Effect.die(`${path.join(" ")} has no help`)
    : { name: ["lockstep", ...path].join(" "), doc }
}) as (path: ReadonlyArray<string>) => Effect.Effect<Entry>

/** Every command, the program itself first, from the definitions that parse the command line. */
export const entries: Effect.Effect<ReadonlyArray<Entry>> = Effect.gen(function*() {
  const program = yield* helpOf([])
  const names = (program.doc.subcommands ?? []).flatMap(({ commands }) => commands.map(({ name }) => name))
  return [program, ...(yield* Effect.forEach(names, (name) => helpOf([name])))]
})

/** What holds for all commands, and no definition says. */
const environment: ReadonlyArray<readonly [name: string, meaning: string]> = [
  ["LOCKSTEP_SERVER", "what client commands talk to, instead of --server"],
  [
    "LOCKSTEP_PORT, LOCKSTEP_HOST, LOCKSTEP_PUBLIC_URL, LOCKSTEP_DATA_DIR, LOCKSTEP_REPLICA_ID",
    "as the flags of serve"
  ],
  ["DATABASE_URL", "PostgreSQL, instead of --database-url"],
  ["LOCKSTEP_LOG_FORMAT", "pretty, logfmt or json, instead of --log-format"],
  [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "an OpenTelemetry collector, instead of --otlp-url; the other OTEL_ variables count as well"
  ],
  ["NO_COLOR, FORCE_COLOR", "no colours, or colours where there is no terminal"]
]

const exits: ReadonlyArray<readonly [code: string, meaning: string]> = [
  ["0", "it did what was asked; of serve and worker, also after SIGINT or SIGTERM"],
  ["1", "it could not: the message says why, and mostly what to do next"],
  ["2", "the command line is wrong"],
  ["130, 143", "a client command was ended by SIGINT or SIGTERM"]
]

const flagName = ({ aliases, name, type }: HelpDoc.FlagDoc) =>
  `${[...aliases, `--${name}`].join(", ")}${type === "boolean" ? "" : ` ${type}`}`

const ownFlags = ({ flags }: HelpDoc.HelpDoc) => flags
const text = (description: Option.Option<string>) => Option.getOrElse(description, () => "")

const cell = (words: string) => words.replaceAll("|", "\\|").replace(/</g, "&lt;")

/** docs/CLI.md */
export const markdown = (all: ReadonlyArray<Entry>): string => {
  const [program, ...commands] = all
  const section = ({ doc, name }: Entry) => [
    `## ${name}`,
    "",
    `${doc.description}.`,
    "",
    "```",
    doc.usage,
    "```",
    ...(doc.args ?? []).length === 0 ? [] : [
      "",
      "| argument | |",
      "|---|---|",
      ...(doc.args ?? []).map((arg) =>
        `| \`${arg.name}\` | ${cell(text(arg.description))}${arg.required ? "" : " (optional)"} |`
      )
    ],
    ...ownFlags(doc).length === 0 ? [] : [
      "",
      "| flag | |",
      "|---|---|",
      ...ownFlags(doc).map((flag) =>
        `| \`${flagName(flag).replaceAll("|", "\\|")}\` | ${cell(text(flag.description))} |`
      )
    ],
    ...(doc.examples ?? []).length === 0 ? [] : [
      "",
      "```sh",
      ...(doc.examples ?? []).flatMap((
        { command, description }
      ) => [...(description === undefined ? [] : [`# ${description}`]), command]),
      "```"
    ],
    ""
  ]
  return [
    "# The command line",
    "",
    "Made by `npm run reference` from the definitions that parse the command line; `man lockstep` says the same. A flag wins over",
    "its environment variable, which wins over the default in parentheses.",
    "",
    "Answers go to stdout, everything else to stderr: progress, notes, errors and logs. Colours and progress bars are for terminals.",
    "`--json` prints one JSON value on one line, of a shape that stays. An error is one line that begins with `error:`, and what to",
    "do next on one that begins with `hint:`.",
    "",
    "| exit code | |",
    "|---|---|",
    ...exits.map(([code, meaning]) => `| ${code} | ${meaning} |`),
    "",
    "| environment | |",
    "|---|---|",
    ...environment.map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
    "",
    "| flag of every command | |",
    "|---|---|",
    ...(program?.doc.globalFlags ?? []).map((flag) =>
      `| \`${flagName(flag).replaceAll("|", "\\|")}\` | ${cell(text(flag.description))} |`
    ),
    "",
    "Completions: `lockstep --completions bash >> ~/.bashrc`; for zsh, `lockstep --completions zsh > \"${fpath[1]}/_lockstep\"`; for fish,",
    "`lockstep --completions fish > ~/.config/fish/completions/lockstep.fish`.",
    "",
    ...commands.flatMap(section)
  ].join("\n").trimEnd() + "\n"
}

// A line that begins with a point or an apostrophe is a request; a hyphen is one only where it is escaped.
const roff = (words: string) =>
  words.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^([.'])/gm, "\\&$1").replace(/\n/g, " ")

/** man/lockstep.1 */
export const manual = (all: ReadonlyArray<Entry>): string => {
  const [program, ...commands] = all
  const item = (head: string, words: string) => [".TP", `.B ${roff(head)}`, roff(words) === "" ? "\\&" : roff(words)]
  const command = ({ doc, name }: Entry) => [
    `.SS ${roff(name.replace(/^lockstep /, ""))}`,
    `${roff(doc.description)}.`,
    ".PP",
    ".EX",
    roff(doc.usage),
    ".EE",
    ...(doc.args ?? []).flatMap((arg) =>
      item(arg.name, `${text(arg.description)}${arg.required ? "" : " (optional)"}`)
    ),
    ...ownFlags(doc).flatMap((flag) => item(flagName(flag), text(flag.description))),
    ...(doc.examples ?? []).flatMap(({ command, description }) => [
      ".PP",
      ...(description === undefined ? ["Example:"] : [`${roff(`Example: ${description}`)}`]),
      ".EX",
      roff(`  ${command}`),
      ".EE"
    ])
  ]
  return [
    ".\\\" Made by npm run reference from the definitions that parse the command line.",
    ".TH LOCKSTEP 1 \"\" \"Lockstep\" \"User Commands\"",
    ".SH NAME",
    roff(`lockstep - ${(program?.doc.description ?? "").replace(/^S/, "s").replace(/\.$/, "")}`),
    ".SH SYNOPSIS",
    ".B lockstep",
    "\\fIcommand\\fR [\\fIarguments\\fR] [\\fIflags\\fR]",
    ".SH DESCRIPTION",
    roff(
      "Answers go to stdout; progress, notes, errors and logs to stderr. A flag wins over its environment variable, which wins over the default in parentheses."
    ),
    ".SH COMMANDS",
    ...commands.flatMap(command),
    ".SH FLAGS OF EVERY COMMAND",
    ...(program?.doc.globalFlags ?? []).flatMap((flag) => item(flagName(flag), text(flag.description))),
    ".SH ENVIRONMENT",
    ...environment.flatMap(([name, meaning]) => item(name, meaning)),
    ".SH EXIT STATUS",
    ...exits.flatMap(([code, meaning]) => item(code, meaning)),
    ""
  ].join("\n")
}
