import { Yaml } from "effect/encoding"
import * as Fs from "node:fs"

/** A value somewhere in a YAML document; what is not there is undefined all the way down. */
export interface Node {
  readonly at: (...path: ReadonlyArray<string | number>) => Node
  readonly value: unknown
  readonly text: string
  readonly list: ReadonlyArray<Node>
  readonly entries: ReadonlyArray<readonly [string, Node]>
}

const node = (value: unknown): Node => ({
  value,
  text: typeof value === "string" || typeof value === "number" ? String(value) : "",
  list: Array.isArray(value) ? value.map(node) : [],
  entries: typeof value === "object" && value !== null
    ? Object.entries(value).map(([key, each]) => [key, node(each)])
    : [],
  at: (...path) =>
    node(path.reduce<unknown>((found, key) => (found as Record<string | number, unknown> | undefined)?.[key], value))
})

export const readText = (path: string) => Fs.readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

/** Every document of a YAML file of this repository. */
export const readYaml = (path: string): ReadonlyArray<Node> =>
  readText(path).split(/^---$/m).map((document) => node(Yaml.parse(document)))

/** `5s` or `1m`, in seconds. */
export const seconds = (text: string): number => {
  const [, amount, unit] = /^(\d+)(s|m)$/.exec(text) ?? []
  return Number(amount) * (unit === "m" ? 60 : 1)
}
