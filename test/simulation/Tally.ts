/** Everything that may befall a fleet. A run counts each, so that nobody needs to believe that a fault ever happens. */
export const faults = [
  "fibers permuted",
  "fibers preempted",
  "notifications lost",
  "notifications delayed",
  "listeners deaf",
  "notifications duplicated",
  "notifications reordered",
  "own notifications late",
  "links cut",
  "black holes",
  "sessions terminated",
  "idle sessions ended",
  "write locks lost",
  "copies whose lock was lost",
  "connections refused",
  "packets late",
  "requests stalled",
  "replies stalled",
  "replies lost",
  "readings held over a crash",
  "readings overtaken by a commit",
  "statements failed",
  "row locks waited for",
  "writes slow",
  "commits held",
  "catch-ups overtaken by a commit",
  "renewals of who is being forgotten",
  "replicas paused",
  "replicas killed",
  "replicas told to end",
  "replicas restarted",
  "clocks drifting",
  "clocks skewed",
  "wall clocks stepped",
  "UNLOGGED tables lost",
  "transaction ids given out again",
  "committers struck",
  "others struck by a commit",
  "copies swept from a frozen publisher",
  "collections",
  "work outlived by a collection",
  "work outlived by a crash",
  "crashes ahead of what is flushed",
  "requests given up",
  "files failed",
  "files slow",
  "transpiles slow"
] as const
export type Fault = typeof faults[number]

export type Tally = Record<Fault, number>

export const noFaults = (): Tally => Object.fromEntries(faults.map((fault) => [fault, 0])) as Tally

/** Adds figures of one kind to others of that kind. */
export const addTo = (sum: Record<string, number>, figures: Readonly<Record<string, number>>): void => {
  for (const [name, figure] of Object.entries(figures)) sum[name] = (sum[name] ?? 0) + figure
}
