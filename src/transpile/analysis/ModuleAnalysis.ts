import type { DefinitionKind, MemberKind } from "../../domain/Definition.ts"

/** `type`: erased by the transpile, as interfaces, aliases and `declare`d things are. `variable`: a `let` or `var`. */
export type ExportKind = DefinitionKind

/** One export as the module's source has it. */
export interface ModuleExport {
  /** Exported name; `default` for the default export, `*` for `export * from`. */
  readonly name: string
  readonly kind: ExportKind
  /** Line of the declaration or of the export, 1-based. */
  readonly line: number
  /** First paragraph of the declaration's JSDoc. */
  readonly summary?: string
  /** Of what the module declares: its name there, by which all its exports are one; a class's key in `classes`. */
  readonly local?: string
  /** Of a re-export: the specifier as written. */
  readonly from?: string
  /** Of a re-export: the name over there, `*` for all of it. */
  readonly imported?: string
  /** Of a re-export: it was written with `type`, so it is erased. */
  readonly typeOnly?: true
}

/** A name in an expression: imported by `specifier`, or declared in the module (null). */
export interface WrittenRef {
  readonly specifier: string | null
  /** The exported name over there, or the local one here; further members follow, separated by dots. */
  readonly name: string
}

/** A decorator of a member. */
export interface WrittenDecorator {
  /** As written, without arguments. */
  readonly name: string
  readonly ref?: WrittenRef
}

/** A member as its class declares it. */
export interface ClassMember {
  readonly name: string
  readonly kind: MemberKind
  readonly static: boolean
  readonly line: number
  readonly summary?: string
  readonly visibility?: "protected" | "private"
  readonly decorators?: ReadonlyArray<WrittenDecorator>
  /** The initial value `contains(StringField)`: the function, and its first argument where that names something. */
  readonly call?: { readonly name: string; readonly ref?: WrittenRef; readonly argument?: WrittenRef }
}

/** A class as its module declares it: what it extends is not followed. */
export interface ClassShape {
  /** As written, and where (1-based); `called` where it is what calling `ref` returns. */
  readonly superClass?: {
    readonly text: string
    readonly line: number
    readonly column: number
    readonly ref?: WrittenRef
    readonly called?: true
  }
  /** One entry a name on each side; `#private` ones are left out. */
  readonly members: ReadonlyArray<ClassMember>
}

/** What one module says of itself. No other module was looked at. */
export interface ModuleAnalysis {
  /** One entry a name; where a type and a value share one, the value. Only `*` may come more than once. */
  readonly exports: ReadonlyArray<ModuleExport>
  /** The module's own classes by their local names, exported or not; `*default*` where there is none. */
  readonly classes: ReadonlyMap<string, ClassShape>
  /** Specifiers as written in the source, each once, in order, without those that only `import type` names. */
  readonly dependencies: ReadonlyArray<string>
  /** Specifiers that only `import type` and `export type` name. */
  readonly typeDependencies: ReadonlyArray<string>
}
