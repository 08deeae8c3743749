import { CliOutput } from "effect/cli"
import type { Colours } from "../colours.ts"

/** `fail`: what Lockstep promises does not hold here, or it cannot run. `warn`: it may come to that, or costs something. */
export type Severity = "ok" | "warn" | "fail"

/** What one check has found. */
export interface Finding {
  /** Stable, for programs: `postgres.synchronous_commit`. */
  readonly check: string
  readonly status: Severity
  readonly detail: string
  /** What to do, where something is to be done. */
  readonly advice?: string
}

export const ok = (check: string, detail: string): Finding => ({ check, status: "ok", detail })
export const warn = (check: string, detail: string, advice: string): Finding => ({
  check,
  status: "warn",
  detail,
  advice
})
export const fail = (check: string, detail: string, advice: string): Finding => ({
  check,
  status: "fail",
  detail,
  advice
})

/** A line for each finding, with its advice below it. */
export const describeFindings = (
  findings: ReadonlyArray<Finding>,
  { green, red, yellow }: Colours,
  width: number
): string => {
  const paint = { ok: green, warn: yellow, fail: red }
  return findings.flatMap(({ advice, detail, status }) => [
    `${paint[status](status.padEnd(4))}  ${detail}`,
    ...(advice === undefined ? [] : wrap(advice, width - 8).map((line) => `        ${line}`))
  ]).join("\n")
}

const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && CliOutput.displayWidth(line) + 1 + CliOutput.displayWidth(word) > Math.max(30, width)) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** In one line: how many of each. */
export const summary = (findings: ReadonlyArray<Finding>): string => {
  const count = (severity: Severity) => findings.filter(({ status }) => status === severity).length
  return `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed`
}
