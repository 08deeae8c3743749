import { Schema } from "effect"
import { CodeRef } from "./CodeRef.ts"

const optional = Schema.optionalKey

/** What an export is. `type`: erased by the transpile; `re-export`: code outside of every realm, which is not followed. */
export const DefinitionKind = Schema.Literals([
  "class",
  "function",
  "constant",
  "variable",
  "enum",
  "namespace",
  "type",
  "re-export"
])
export type DefinitionKind = typeof DefinitionKind.Type

/** A code reference as a module's source has it, and where that leads. */
export const SourceRef = Schema.Struct({
  /** As written in the import; null where the name is declared in the module itself. */
  specifier: Schema.NullOr(Schema.String),
  /** The specifier as a URL, resolved against the module's; a bare specifier stays what it is. */
  module: Schema.String,
  /** The name over there; what is taken from an imported object is separated by dots. */
  name: Schema.String
})
export type SourceRef = typeof SourceRef.Type

/** What a class extends. */
export const SuperClass = Schema.Struct({
  /** As written, without type arguments, shortened to 200 characters. */
  text: Schema.String,
  /** What it names. Absent where the expression names nothing. */
  ref: optional(SourceRef),
  /** The class is what `ref` returns when it is called: it is not followed. */
  called: optional(Schema.Literal(true))
})
export type SuperClass = typeof SuperClass.Type

/** A decorator of a member, and where its name leads. */
export const Decorator = Schema.Struct({
  /** As written, without arguments: `field`, `ns.field`. */
  name: Schema.String,
  ref: optional(SourceRef)
})
export type Decorator = typeof Decorator.Type

/** A field's initial value in called form: `contains(StringField)`, `linksTo(() => Person)`. */
export const InitialCall = Schema.Struct({
  /** The function as written: `contains`. */
  name: Schema.String,
  ref: optional(SourceRef),
  /** The first argument, where it names something; of an arrow function, what it returns. */
  argument: optional(SourceRef)
})
export type InitialCall = typeof InitialCall.Type

/** What a member of a class is. */
export const MemberKind = Schema.Literals(["field", "method", "getter", "setter", "accessor", "constructor"])
export type MemberKind = typeof MemberKind.Type

/** A member of a class: its own, or inherited from one of its ancestors. */
export const Member = Schema.Struct({
  /** As written; a computed name keeps its brackets, `[Symbol.iterator]`. */
  name: Schema.String,
  kind: MemberKind,
  static: Schema.Boolean,
  /** Line in its module, 1-based. */
  line: Schema.Int,
  /** The first paragraph of its JSDoc. */
  summary: optional(Schema.String),
  /** TypeScript's word, where it is not public. */
  visibility: optional(Schema.Literals(["protected", "private"])),
  decorators: optional(Schema.Array(Decorator)),
  call: optional(InitialCall),
  /** The class that declares it: its module's URL and the name that it is exported by, or its own where it is not. */
  from: CodeRef
})
export type Member = typeof Member.Type

/** One export of a module, assembled: re-exports are followed to the declaration, inherited members are included. */
export const Definition = Schema.Struct({
  /** The name that the module exports it by; `default` for the default export. */
  name: Schema.String,
  kind: DefinitionKind,
  /** Where it is declared: module URL with the file's extension, and name there. `*`: the whole module, as `export * as`. */
  declared: CodeRef,
  /** Line of the declaration, 1-based; 0 where it is not in a realm. */
  line: Schema.Int,
  /** The first paragraph of its JSDoc. */
  summary: optional(Schema.String),
  /** Of a class: what it extends, as written. */
  superClass: optional(SuperClass),
  /** Of a class: the classes that it inherits from, nearest first, as far as they are code of a realm. */
  ancestors: optional(Schema.Array(CodeRef)),
  /** Of a class: what its last ancestor extends, where that could not be followed: its members are not known. */
  beyond: optional(Schema.String),
  /** Of a class: own members first, then inherited ones that are not overridden, nearest ancestor first. */
  members: optional(Schema.Array(Member))
})
export type Definition = typeof Definition.Type

/** Why something has no definition. `path` is a module's URL, where the reason lies in another module. */
export const DefinitionFault = Schema.Struct({
  detail: Schema.String,
  module: optional(Schema.String),
  line: Schema.NullOr(Schema.Int),
  column: Schema.NullOr(Schema.Int)
})
export type DefinitionFault = typeof DefinitionFault.Type

/** What is known of one export: its definition, or why there is none. `*`: an `export *` that could not be followed. */
export const ExportResult = Schema.Union([
  Definition,
  Schema.Struct({ name: Schema.String, error: DefinitionFault })
])
export type ExportResult = typeof ExportResult.Type

/** Whether an export has an error in place of its definition. */
export const isFault = (result: ExportResult): result is Extract<ExportResult, { readonly error: DefinitionFault }> =>
  "error" in result

/**
 * A module that a definition was made from, with what it was then. A name that led nowhere is one too: the definition
 * changes when something appears there.
 */
export const Dependency = Schema.Struct({
  /** URL as it was asked for: an import's specifier, resolved. */
  url: Schema.String,
  /** The realm that it lies in; null where no realm is mounted there. */
  realm: Schema.NullOr(Schema.String),
  /** The path that was asked for in that realm: a file's, or an alias, which stands for the first of its candidates. */
  name: Schema.String,
  /** The file that was found: realm-relative path with extension. */
  path: Schema.NullOr(Schema.String),
  /** The realm's generation when it was read. */
  generation: Schema.Finite,
  /** SHA-256 of the file's bytes, base64url; null where there was none. */
  hash: Schema.NullOr(Schema.String)
})
export type Dependency = typeof Dependency.Type
