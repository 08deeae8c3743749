import { parseSync } from "@babel/core"
import { dependenciesOf } from "../dependencies.ts"
import type { Oxc } from "./oxcPipeline.ts"

/** As `dependenciesOf`, from the text of a compiled module. Their order is that in which the text first quotes them. */
export const importsOf = (oxc: Oxc, code: string): ReadonlyArray<string> => {
  if (!/\b(?:import|from)\b/.test(code)) return []
  const { deps, dynamicDeps, errors } = oxc.moduleRunnerTransformSync("module.js", code)
  // it reads no specifiers in backticks
  if (errors.length > 0 || /\bimport\s*\(\s*(?:\/[*/]|`)/.test(code)) return parsed(code)
  const found = [...new Set([...deps, ...dynamicDeps])]
  if (found.length < 2) return found
  const place = new Map(found.map((specifier) => [specifier, placeOf(code, specifier)]))
  return found.toSorted((a, b) => place.get(a)! - place.get(b)!)
}

const parsed = (code: string) => {
  const ast = parseSync(code, { cwd: "/", root: "/", babelrc: false, configFile: false, sourceType: "module" })
  return ast === null ? [] : dependenciesOf(ast, code)
}

const placeOf = (code: string, specifier: string): number => {
  const place = code.indexOf(JSON.stringify(specifier))
  return place === -1 ? code.length : place
}
