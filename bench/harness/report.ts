import type { Line, Row } from "../Row.ts"
import type { load, machine } from "./machine.ts"

export type Machine = ReturnType<typeof machine> & { readonly postgres: string }

export interface Measured {
  readonly row: Row
  readonly lines: ReadonlyArray<Line>
}

export const describeMachine = ({ cores, memoryGiB, node, postgres, processor, system }: Machine): string =>
  `${cores} cores (${processor}), ${memoryGiB} GiB, ${system}; Node ${node}, ${postgres}`

/** A row as people read it: one line a measurement, and under it what else was counted, Lockstep's first. */
export const asText = ({ lines, row }: Measured): string => {
  const cells = lines.map(({ bar, lockstep, name, peer, ratio }) => [
    `  ${name}`,
    `Lockstep ${lockstep}`,
    peer === undefined ? "" : `${peer.name} ${peer.figure}`,
    ratio === undefined ? "" : `${ratio.median.toFixed(2)} of it (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`,
    bar === undefined || ratio === undefined ? "" : `bar ${bar.toFixed(2)}${ratio.median < bar ? ", missed" : ""}`
  ])
  const widths = [0, 1, 2, 3, 4].map((index) => Math.max(0, ...cells.map((cell) => cell[index]?.length ?? 0)))
  return [
    `${row.name}: ${row.title}`,
    ...lines.flatMap(({ also, counts = {} }, index) => [
      (cells[index] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ").trimEnd(),
      `    ${Object.entries({ ...counts, ...also }).map(([name, value]) => `${name} ${value}`).join("; ")}`
    ])
  ].join("\n")
}

export const asJson = (
  machine: Machine,
  loads: { readonly before: ReturnType<typeof load>; readonly after: ReturnType<typeof load> },
  measured: ReadonlyArray<Measured>
): string =>
  JSON.stringify(
    {
      machine,
      load: loads,
      rows: measured.map(({ lines, row }) => ({ name: row.name, title: row.title, lines }))
    },
    undefined,
    2
  )
