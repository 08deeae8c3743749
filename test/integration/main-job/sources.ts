/** A module that Babel needs about a second for, so that something can happen meanwhile. `tag` is in its output. */
export const slowModule = (tag: string, functionCount = 2000): string => {
  const functions = Array.from(
    { length: functionCount },
    (_, n) =>
      `export const f${n} = <A extends { readonly n: number }>(a: A, b?: string | undefined): number => ` +
      `a.n > ${n} ? (b ?? "x").length + a.n * ${n} : [...Object.values(a)].map((v) => v + ${n}).length as number`
  )
  return [`export const tag: string = ${JSON.stringify(tag)}`, ...functions].join("\n")
}

/** Five megabytes that Babel is soon done with. */
export const largeModule = (): string =>
  `export const rows: ReadonlyArray<string> = [\n${
    Array.from({ length: 50_000 }, (_, n) => `  "row ${n} ${"x".repeat(85)}"`).join(",\n")
  }\n]\n`

/** A module whose JavaScript shows its version, and which is TypeScript still. */
export const versioned = (version: number): string =>
  `export interface Person { readonly name: string }\nexport const version: number = ${version}\n`

/** The version that a module made by `versioned` shows, as TypeScript or as JavaScript. */
export const versionOf = (text: string): number | undefined => {
  const found = /^export const version(?:: number)? = (\d+);?$/m.exec(text)
  return found === null ? undefined : Number(found[1])
}
