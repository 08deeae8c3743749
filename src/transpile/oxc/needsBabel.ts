import { codeOnly } from "./codeOnly.ts"

/** Languages as oxc calls them. */
export type Language = "js" | "jsx" | "ts" | "tsx"

// one way to read it, or a hostile source would take for ever
const gap = String.raw`(?:\s|\/\*(?:[^*]|\*(?!\/))*\*\/|\/\/.*(?![^\n\r\u2028\u2029]))*`
const name = String.raw`(?!(?:this|super|import|new)\b)[\w$\u0080-\uffff]+`

/** In JSX an address of a package is the usual reason for an `@`. It holds nothing that could be more than a name. */
const packageName = /\b(?:from|import)\s*(["'])@[\w./-]+\1/g

const syntaxForBabel = new RegExp(
  [
    // decorators, and the accessors that came with them
    "@",
    String.raw`\baccessor(?=[\s#["'/])(?!\s*=)`,
    // what Babel refuses, or `rejectMiscompiled` has to see
    String.raw`\bdeclare\b${gap}const\b${gap}enum\b`,
    String.raw`\bimport\b${gap}(?:type\b${gap})?${name}${gap}=`,
    String.raw`\bexport\b${gap}=`
  ].join("|")
)

/**
 * What a parameter property looks like, and some types and calls do. Babel assigns it in the constructor; oxc declares a field too,
 * which comes before the others and hides an inherited setter.
 */
const parameterProperty = new RegExp(
  String.raw`[(,]${gap}(?:public|private|protected|readonly|override)\b${gap}[\w$\u0080-\uffff[{]`
)

/** A namespace, by its name, such as `A.B`. */
const namespace = String.raw`\b(?:namespace|module)\b${gap}(${name}(?:${gap}\.${gap}${name})*)${gap}\{`
const anyNamespace = new RegExp(namespace, "g")
/** One that is declared has no code. What a comment says is no declaration: only for text without any. */
const ownNamespace = new RegExp(String.raw`(?<!\bdeclare[^\S\n\r\u2028\u2029]+)${namespace}`, "g")

/**
 * Whether a module is left to Babel, because it may have syntax that oxc hands on as it is (standard decorators) or
 * compiles otherwise (parameter properties, `import =`, `export =`, ambient const enums, merged namespaces). It may say yes to a
 * module without any, where only a parser could tell, which costs time; it never says no to a module with one.
 */
export const needsBabel = (language: Language, source: string): boolean => {
  // most have nothing that even looks like it
  if (!hasSyntax(source, anyNamespace) && !parameterProperty.test(source)) return false
  if (language === "jsx" || language === "tsx") {
    const text = source.replace(packageName, " ")
    return hasSyntax(text, anyNamespace) || parameterProperty.test(text)
  }
  const code = codeOnly(source)
  return code === undefined || hasSyntax(code, ownNamespace) || hasParameterProperty(code, source)
}

const hasSyntax = (text: string, namespaces: RegExp) => syntaxForBabel.test(text) || mayMerge(text, namespaces)

const constructors = new RegExp(String.raw`\bconstructor\b${gap}\(`, "g")
/** Its name in quotes, or one that may be it, spelt with escapes. */
const quotedConstructor = new RegExp(String.raw`(["'])(?:constructor|[^"'\n]*\\[^"'\n]*)\1${gap}\(`)

const hasParameterProperty = (code: string, source: string): boolean => {
  if (!parameterProperty.test(code)) return false
  if (quotedConstructor.test(source)) return true
  for (const { 0: found, index } of code.matchAll(constructors)) {
    const from = index + found.length - 1
    if (parameterProperty.test(code.slice(from, endOfParentheses(code, from)))) return true
  }
  return false
}

const endOfParentheses = (code: string, from: number): number => {
  let open = 0
  for (let i = from; i < code.length; i++) {
    const c = code.charCodeAt(i)
    if (c === 0x28) open++
    else if (c === 0x29 && --open === 0) return i
  }
  return code.length
}

/** Two blocks may be of one namespace only where they have a name in common. */
const mayMerge = (code: string, namespaces: RegExp): boolean => {
  const seen = new Set<string>()
  for (const [, dotted = ""] of code.matchAll(namespaces)) {
    for (const [each] of dotted.matchAll(/[\w$\u0080-\uffff]+/g)) {
      if (seen.has(each)) return true
      seen.add(each)
    }
  }
  return false
}
