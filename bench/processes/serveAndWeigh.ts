import * as v8 from "node:v8"
import * as vm from "node:vm"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, Scope } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { layerHttp, Listening } from "../../src/http/server.ts"
import type { layerProgram } from "../../src/Lockstep.ts"

/** In bytes. */
export interface Weighed {
  /** Objects, and the bytes outside of the heap that they hold, after garbage was collected. */
  readonly held: number
  /** Of the whole process, threads and all. */
  readonly resident: number
}

/** The HTTP server of the program, over services that an embedding host has; and what it weighs. */
export const serveAndWeigh = () => {
  v8.setFlagsFromString("--expose-gc")
  const collect: () => void = vm.runInNewContext("gc")
  return {
    serve: (services: Context.Context<Layer.Success<ReturnType<typeof layerProgram>>>): Promise<number> =>
      Effect.runPromise(Effect.gen(function*() {
        // For as long as the process lives.
        const scope = yield* Scope.make()
        const http = yield* Layer.buildWithScope(
          layerHttp({
            host: "127.0.0.1",
            port: 0,
            publicUrl: "http://localhost:4201/" as RealmUrl,
            cacheBytes: finishedBytes
          }),
          scope
        ).pipe(Effect.provideContext(services), Effect.provide(NodeHttpServer.layerHttpServices))
        return Number(new URL(Context.get(http, Listening).url).port)
      })),
    weigh: (): Weighed => {
      // What finalizers let go of is collected by the second.
      collect()
      collect()
      const { external, heapUsed, rss } = process.memoryUsage()
      return { held: heapUsed + external, resident: rss }
    }
  }
}

/** Bound of finished answers. */
export const finishedBytes = 4 * 2 ** 20
