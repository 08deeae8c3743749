import { createHash } from "node:crypto"

/** What a run must tell for it to count as made. */
interface Run {
  readonly seed: number
  readonly hash: string
  readonly reads: number
}

/** Why these runs are not what was asked: none was left out, and each read something. Empty if they are. */
export const shortcomings = (asked: number, runs: Iterable<Run>): ReadonlyArray<string> => {
  const all = Array.from(runs)
  const made = new Set(all.map(({ seed }) => seed)).size
  const empty = all.filter(({ reads }) => reads === 0).map(({ seed }) => seed)
  return [
    ...made < asked ? [`only ${made} of ${asked} runs were made`] : [],
    ...empty.length > 0
      ? [`${empty.length} runs read nothing, first seed ${empty.reduce((least, seed) => Math.min(least, seed))}`]
      : []
  ]
}

/** One hash for runs of many seeds, in whatever order they ended; that of a single run is its own. */
export const hashOf = (runs: Iterable<Pick<Run, "seed" | "hash">>): string => {
  const sorted = Array.from(runs).sort((one, other) => one.seed - other.seed)
  const [only] = sorted
  if (only !== undefined && sorted.length === 1) return only.hash
  const all = createHash("sha256")
  for (const { hash, seed } of sorted) all.update(`${seed} ${hash}\n`)
  return all.digest("hex").slice(0, 16)
}
