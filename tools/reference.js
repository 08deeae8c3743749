// Writes docs/REFERENCE.md from the declarations and doc strings of what the package exports; with --check it only says
// whether the page is up to date. An export without a doc string is an error.
import { parseSync } from "@babel/core"
import typescript from "@babel/preset-typescript"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"

const page = "docs/REFERENCE.md"
const longest = 40

const emitted = mkdtempSync(path.join(tmpdir(), "lockstep-reference-"))
const flags = ["-p", "tsconfig.build.json", "--emitDeclarationOnly", "--outDir", emitted]
const built = spawnSync("tsc", flags, { encoding: "utf8" })
if (built.status !== 0) throw new Error(`the declarations cannot be made:\n${built.stdout}${built.stderr}`)

const nameOf = (node) => node.type === "Identifier" ? node.name : node.value

/** A module's own declarations by name, and what it passes on from others. */
const modules = new Map()
const moduleAt = (file) => {
  if (modules.has(file)) return modules.get(file)
  const text = readFileSync(path.join(emitted, file), "utf8")
  const { program } = parseSync(text, {
    filename: file,
    cwd: "/",
    root: "/",
    babelrc: false,
    configFile: false,
    presets: [[typescript, { ignoreExtensions: true }]],
    parserOpts: { plugins: [["typescript", { dts: true }]] }
  })
  const found = { declared: new Map(), passed: [] }
  modules.set(file, found)
  const target = (specifier) => path.join(path.dirname(file), specifier.replace(/\.[jt]s$/, ".d.ts"))
  for (const statement of program.body) {
    const declaration = statement.declaration ?? statement
    if (statement.source != null && statement.type.startsWith("Export")) {
      const from = target(statement.source.value)
      if (statement.type === "ExportAllDeclaration") found.passed.push({ from, name: "*", as: "*" })
      for (const each of statement.specifiers ?? []) {
        const name = each.local === undefined || each.type === "ExportNamespaceSpecifier" ? "*" : nameOf(each.local)
        found.passed.push({ from, name, as: nameOf(each.exported) })
      }
      continue
    }
    if (statement.type === "ExportNamedDeclaration" && statement.declaration == null) continue
    const ids = declaration.type === "VariableDeclaration"
      ? declaration.declarations.map(({ id }) => id.name)
      : [declaration.id?.name]
    const comment = statement.leadingComments?.findLast(({ type, value }) =>
      type === "CommentBlock" && value[0] === "*"
    )
    for (const id of ids) {
      if (id === undefined) continue
      const parts = found.declared.get(id) ?? { file, texts: [], doc: "" }
      parts.texts.push(text.slice(statement.start, statement.end))
      parts.doc ||= comment === undefined ? "" : comment.value.replace(/^\*/, "").replace(/^\s*\* ?/gm, "").trim()
      found.declared.set(id, parts)
    }
  }
  return found
}

/** What a module exports: name, and its declaration, or the module that a namespace is. */
const exportsOf = (file) => {
  const { declared, passed } = moduleAt(file)
  const own = [...declared].filter(([, { texts }]) => texts.some((text) => text.startsWith("export ")))
  return [
    ...own.map(([name, declaration]) => ({ name, declaration })),
    ...passed.flatMap(({ as, from, name }) => {
      if (as === "*") return exportsOf(from)
      if (name === "*") return [{ name: as, namespace: from }]
      return exportsOf(from).filter((each) => each.name === name).map((each) => ({ ...each, name: as }))
    })
  ]
}

const undocumented = []

const signature = (text) => {
  const lines = text.replace(/^export (?:declare )?/, "").replace(/^\s*\/\/#.*$/gm, "").trimEnd().split("\n")
  return lines.length <= longest ? lines : [...lines.slice(0, longest), "  // and more"]
}

const section = (level, name, { doc, file, texts }) => {
  const source = `src/${file.replace(/\.d\.ts$/, ".ts")}`
  if (doc === "" && !texts.every((text) => /^export (?:declare )?type/.test(text))) {
    undocumented.push(`${name} in ${source}`)
  }
  // what a class is made of by a call, unless that is a page by itself
  const base = moduleAt(file).declared.get(`${name.split(".").at(-1)}_base`)?.texts
    .filter((each) => each.split("\n").length <= longest)
  return [
    `${"#".repeat(level)} ${name}`,
    "",
    ...(doc === "" ? [] : [doc, ""]),
    `[${source}](../${source})`,
    "",
    "```ts",
    ...(base ?? []).concat(texts).flatMap(signature),
    "```",
    ""
  ]
}

const entry = (level, prefix, { declaration, name, namespace }) => {
  if (namespace === undefined) return section(level, `${prefix}${name}`, declaration)
  return exportsOf(namespace).toSorted(byName).flatMap((each) => entry(level, `${prefix}${name}.`, each))
}

const byName = (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0

const lines = [
  "# Reference",
  "",
  "Everything that the package exports, from its declarations and doc strings. `npm run reference` writes this page, and",
  "`npm run check` says when it is old. How the parts are used: [EMBEDDING.md](EMBEDDING.md), [PRESETS.md](PRESETS.md).",
  ""
]
for (const [specifier, file] of [["lockstep", "index.d.ts"], ["lockstep/client", "client.d.ts"]]) {
  lines.push(`## ${specifier}`, "")
  for (const each of exportsOf(file).toSorted(byName)) lines.push(...entry(3, "", each))
}
rmSync(emitted, { recursive: true })

const text = `${lines.join("\n").trimEnd()}\n`
const old = existsSync(page) ? readFileSync(page, "utf8") : ""
if (undocumented.length > 0) {
  process.stdout.write(`without a doc string:\n${undocumented.map((each) => `  ${each}\n`).join("")}`)
  process.exitCode = 1
}
// The compiler orders the members of inferred unions as it comes upon them: pages of the same words are the same.
const words = (page) => page.split(/[^\w$./:-]+/).toSorted().join(" ")
const isOld = words(text) !== words(old)
if (!process.argv.includes("--check")) {
  if (isOld) writeFileSync(page, text)
} else if (isOld) {
  process.stdout.write(`${page} is not what the sources say: run npm run reference\n`)
  process.exitCode = 1
}
