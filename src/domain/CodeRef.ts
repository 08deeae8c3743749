import { Schema } from "effect"

/** Points at one export of a module: the module's URL and the export's name (`default` for the default export). */
export const CodeRef = Schema.Struct({ module: Schema.String, name: Schema.String })
export type CodeRef = typeof CodeRef.Type
