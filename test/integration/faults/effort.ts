/**
 * How much the fault suite does. `npm test` runs a selection, once each, on two replicas with a short lease;
 * `npm run chaos` sets LOCKSTEP_CHAOS to a number of repetitions and runs everything on three with the usual lease.
 */
const asked = Number(process.env["LOCKSTEP_CHAOS"] ?? 0)

/** Whether everything runs. */
export const everything = asked > 0

/** How often each fault happens, one after the other. */
export const repetitions = Math.max(1, asked)

export const leaseMillis = everything ? 3_000 : 1_000

export const replicaCount = everything ? 3 : 2

/** A stage and each test on it have this long, in milliseconds. Deadlines of single steps are far shorter. */
export const patience = 60_000 + 60_000 * repetitions
