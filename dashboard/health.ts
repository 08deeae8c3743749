import type { Fleet, Member, Realm } from "./data.ts"

export type State = "well" | "without lease" | "silent"

export const stateOf = ({ report }: Member): State =>
  report === null ? "silent" : report.lease.held ? "well" : "without lease"

/** Realms that a member has in memory at a generation that is not the newest. */
export const behind = ({ realms }: Fleet, { bootId }: Member): ReadonlyArray<Realm> =>
  (realms?.shown ?? []).filter(({ applied, generation }) => (applied[bootId] ?? generation) < generation)

/** Realms that a member has in memory, of those that are shown. */
export const lookedAt = ({ realms }: Fleet, { bootId }: Member): number =>
  (realms?.shown ?? []).filter(({ applied }) => applied[bootId] !== undefined).length
