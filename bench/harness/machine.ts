import * as os from "node:os"

/** What the figures depend on and the reader cannot see. */
export const machine = () => ({
  cores: os.availableParallelism(),
  processor: os.cpus()[0]?.model ?? "unknown",
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  system: `${os.type()} ${os.release()} ${os.arch()}`,
  node: process.version
})

/** Processes that run or wait to, on average over the last minute, our own included. */
export const load = (): number => Math.round((os.loadavg()[0] ?? 0) * 100) / 100
