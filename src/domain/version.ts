import { createRequire } from "node:module"

/** This package's version, from its manifest: two levels up, whether this is `src` or `dist`. */
export const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")
