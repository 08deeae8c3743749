// Formats the sources as Effect's own are formatted: dprint, without semicolons, 120 columns.
// `node tools/format.js` writes; with --check it only names the files that differ, and fails.
import { createFromBuffer } from "@dprint/formatter"
import { getPath } from "@dprint/typescript"
import { globSync, readFileSync, writeFileSync } from "node:fs"

const sources = ["*.ts", "bin/*.js", "tools/*.js", "{src,dashboard,test,bench,examples}/**/*.{ts,tsx}"]

const dprint = createFromBuffer(readFileSync(getPath()))
dprint.setConfig({ lineWidth: 120, indentWidth: 2, newLineKind: "lf" }, {
  semiColons: "asi",
  quoteStyle: "alwaysDouble",
  trailingCommas: "never",
  operatorPosition: "maintain",
  "arrowFunction.useParentheses": "force",
  "module.sortImportDeclarations": "maintain",
  "importDeclaration.sortNamedImports": "maintain",
  "exportDeclaration.sortNamedExports": "maintain"
})

const checkOnly = process.argv.includes("--check")
const files = globSync(sources, { exclude: ["**/node_modules/**"] })
const different = files.filter((filePath) => {
  const fileText = readFileSync(filePath, "utf8")
  const formatted = dprint.formatText({ filePath, fileText })
  if (formatted === fileText) return false
  if (!checkOnly) writeFileSync(filePath, formatted)
  return true
})

for (const file of different) process.stdout.write(`${checkOnly ? "not formatted: " : "formatted "}${file}\n`)
process.stdout.write(`${files.length} files, ${different.length} ${checkOnly ? "to format" : "formatted"}\n`)
process.exitCode = checkOnly && different.length > 0 ? 1 : 0
