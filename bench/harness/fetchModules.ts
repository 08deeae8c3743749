import { Effect } from "effect"
import type { Fetched, Fetching } from "../processes/fetchAll.ts"
import { BenchFailed } from "./BenchFailed.ts"
import { Children } from "./Children.ts"
import { pathOf } from "./replica.ts"

/** To each server, at the same time. */
const connections = 64

/**
 * Fetches modules of the one realm, each server's at the same time; fails if two servers sent different bytes for one.
 * Answers the time to the last byte, and each module's SHA-256.
 */
export const fetchModules = Effect.fnUntraced(function*(
  servers: ReadonlyArray<{ readonly port: number; readonly modules: ReadonlyArray<string> }>
) {
  const children = yield* Children
  const client = yield* children.helper<Fetching, Fetched>(new URL("../processes/fetchAll.ts", import.meta.url))
  const fetched = yield* client.ask({
    servers: servers.map(({ modules, port }) => ({ port, paths: modules.map(pathOf) })),
    connections
  }, 300_000)
  const hashes: Record<string, string> = {}
  for (const [index, { modules }] of servers.entries()) {
    for (const module of modules) {
      const hash = fetched.hashes[index]?.[pathOf(module)] ?? ""
      if ((hashes[module] ??= hash) !== hash) {
        return yield* new BenchFailed({ detail: `two replicas sent different bytes for ${module}` })
      }
    }
  }
  return { millis: fetched.millis, hashes: hashes as Readonly<Record<string, string>> }
})
