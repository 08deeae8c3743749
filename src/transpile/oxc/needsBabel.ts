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
    String.raw`\baccessor(?=[\s#["'/])(?!\s+=>)`,
    // what Babel refuses, or `rejectMiscompiled` has to see
    String.raw`\bdeclare\b${gap}const\b${gap}enum\b`,
    String.raw`\bimport\b${gap}(?:type\b${gap})?${name}${gap}=`,
    String.raw`\bexport\b${gap}=`
  ].join("|")
)

/** A namespace, by its name, such as `A.B`. */
const namespace = String.raw`\b(?:namespace|module)\b${gap}(${name}(?:${gap}\.${gap}${name})*)${gap}\{`
const anyNamespace = new RegExp(namespace, "g")
/** One that is declared has no code. What a comment says is no declaration: only for text without any. */
const ownNamespace = new RegExp(String.raw`(?<!\bdeclare[^\S\n\r\u2028\u2029]+)${namespace}`, "g")

/**
 * Whether a module is left to Babel, because it may have syntax that oxc hands on as it is (standard decorators) or
 * compiles otherwise (`import =`, `export =`, ambient const enums, namespaces of more than one block). It may say yes to a
 * module without any, where only a parser could tell, which costs time; it never says no to a module with one.
 */
export const needsBabel = (language: Language, source: string): boolean => {
  // most have nothing that even looks like it
  if (!syntaxForBabel.test(source) && !mayMerge(source, anyNamespace)) return false
  if (language === "jsx" || language === "tsx") {
    const text = source.replace(packageName, " ")
    return syntaxForBabel.test(text) || mayMerge(text, anyNamespace)
  }
  const code = codeOnly(source)
  return code === undefined || syntaxForBabel.test(code) || mayMerge(code, ownNamespace)
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
