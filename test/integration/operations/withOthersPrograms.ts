import { spawnSync } from "node:child_process"

/**
 * Whether to run a test beside a program that is not ours: `npm run test:operations`, where it is installed. `npm test` has
 * the same tests beside stand-ins, in half the time.
 */
export const isBeside = (program: string, ...args: ReadonlyArray<string>): boolean =>
  process.env["LOCKSTEP_TEST_OPERATIONS"] === "all" && spawnSync(program, args).status === 0
