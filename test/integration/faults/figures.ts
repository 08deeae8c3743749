/** What one fault did, as clients saw it. Times are in milliseconds. */
export interface Figures {
  readonly fault: string
  /** How often it happened. */
  readonly times: number
  /** Answers with a version. */
  readonly reads: number
  /** Writes and publishes that were acknowledged. */
  readonly writes: number
  /** Answers that broke I1 to I3, or that no replica may give; writes that were lost; replicas that did not agree. */
  readonly violations: number
  /** Answers with a `warning`. */
  readonly warned: number
  /** From the fault's beginning to the first request that was lost or slow, the shortest time; -1: none was. */
  readonly unavailableAfter: number
  /** From the fault's end to the end of the last request that was lost or slow, the longest time; 0: none was. */
  readonly recoveredAfter: number
  /** Requests that were lost or slow, by status or by what became of the connection. */
  readonly lostReads: Outcomes
  readonly lostWrites: Outcomes
}

export type Outcomes = Readonly<Record<string, number>>

/** One line for people. */
export const lineOf = (figures: Figures) =>
  [
    figures.fault,
    `${figures.violations} stale or wrong of ${figures.reads} reads`,
    `${figures.writes} writes`,
    figures.unavailableAfter < 0
      ? "always available"
      : `unavailable after ${Math.round(figures.unavailableAfter)} ms`,
    `well again after ${Math.round(figures.recoveredAfter)} ms`,
    `lost reads ${outcomes(figures.lostReads)}`,
    `lost writes ${outcomes(figures.lostWrites)}`
  ].join("; ")

export const outcomes = (counts: Outcomes) =>
  Object.entries(counts).map(([outcome, count]) => `${outcome} ×${count}`).join(", ") || "none"
