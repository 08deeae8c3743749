import { assert } from "@effect/vitest"

/** One metric of Prometheus' text format. */
export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  /** Sample lines: the name with its suffix, labels, value. */
  readonly samples: ReadonlyArray<{
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly value: number
  }>
}

const sampleLine = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/
const label = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g

/** Reads the text as strictly as Prometheus does: every sample belongs to the family announced before it. */
export const parseExposition = (text: string): ReadonlyMap<string, Family> => {
  const families = new Map<string, Family & { samples: Array<Family["samples"][number]> }>()
  assert.isTrue(text.endsWith("\n"), "the last line has its end")
  let help: readonly [string, string] = ["", ""]
  let current: (Family & { samples: Array<Family["samples"][number]> }) | undefined
  for (const line of text.trimEnd().split("\n")) {
    const [, helped, words] = /^# HELP (\S+) (.+)$/.exec(line) ?? []
    if (helped !== undefined && words !== undefined) {
      help = [helped, words]
      continue
    }
    const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (name !== undefined && type !== undefined) {
      assert.strictEqual(help[0], name, "HELP stands before TYPE")
      assert.isFalse(families.has(name), `${name} is announced once`)
      families.set(name, current = { name, type, help: help[1], samples: [] })
      continue
    }
    const [, sample, labels = "", value] = sampleLine.exec(line) ?? []
    if (sample === undefined || current === undefined) throw new Error(`not a line of the format: ${line}`)
    const suffixes = current.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]
    assert.include(suffixes.map((suffix) => `${current?.name}${suffix}`), sample)
    assert.isFalse(Number.isNaN(Number(value?.replace("+Inf", "Infinity"))), line)
    current.samples.push({
      name: sample,
      labels: Object.fromEntries(Array.from(labels.matchAll(label), ([, key = "", text = ""]) => [key, text])),
      value: Number(value)
    })
  }
  return families
}

/** The value of one sample; undefined where there is none. */
export const valueOf = (
  families: ReadonlyMap<string, Family>,
  sample: string,
  labels: Readonly<Record<string, string>> = {}
): number | undefined =>
  Array.from(families.values()).flatMap(({ samples }) => samples).find((each) =>
    each.name === sample && Object.entries(labels).every(([name, value]) => each.labels[name] === value)
  )?.value
