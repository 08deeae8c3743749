import type { Effect, Scope } from "effect"
import type { Children } from "./harness/Children.ts"
import type { BenchFailed } from "./harness/BenchFailed.ts"
import type { Range } from "./harness/statistics.ts"
import type { Workbench } from "./harness/Workbench.ts"

/** One measured thing and, where there is one, the peer that was measured beside it in the same rounds. */
export interface Line {
  readonly name: string
  /** Median over the rounds, with its unit, such as "7,120 req/s". */
  readonly lockstep: string
  readonly peer?: { readonly name: string; readonly figure: string }
  /** Lockstep's speed over the peer's, round by round: 1 is as fast, 0.5 half as fast. */
  readonly ratio?: Range
  /** What the ratio's median should be at least. */
  readonly bar?: number
  /** The ratio is much the same on any machine and beside any neighbour: `--check` compares it with the baseline's. */
  readonly steady?: boolean
  /** What must be the same in every run on every machine, such as executions. */
  readonly counts?: Readonly<Record<string, number>>
  /** What else was counted, in the order to be shown. */
  readonly also: Readonly<Record<string, string>>
}

/** A row of the bench: a file in `rows/`, listed in `rows.ts`. It fails if what it measured was not what it meant to. */
export interface Row {
  /** For `--rows`. */
  readonly name: string
  readonly title: string
  readonly run: Effect.Effect<ReadonlyArray<Line>, BenchFailed, Workbench | Children | Scope.Scope>
}
