/** A peer's memory tier and nothing else: one value that is there, read over and over as its users read it. */
import { BentoCache, bentostore } from "bentocache"
import { memoryDriver } from "bentocache/drivers/memory"
import { Cacheable, createKeyv } from "cacheable"
import { answerParent } from "./answerParent.ts"

export interface Reading {
  readonly library: keyof typeof libraries
  /** `getOrSet` would make what is missing, as Lockstep does; `get` only looks. */
  readonly call: "get" | "getOrSet"
  readonly times: number
}

/** As in Lockstep's memory: a body, and the headers that belong to it. */
const value = {
  body: Buffer.from("export const hello = 'hello';\n"),
  headers: { "content-type": "text/javascript; charset=utf-8", etag: "\"js-0123456789abcdef\"" },
  dependencyKeys: new Array<string>()
}

const key = "http://localhost:4201/published/hello.ts"

const missing = () => Promise.reject(new Error("the value is not in memory"))

// With the settings that make each fastest: the value itself is kept and handed out, as Lockstep does.
const libraries = {
  bentocache: async () => {
    const cache = new BentoCache({
      default: "memory",
      stores: { memory: bentostore().useL1Layer(memoryDriver({ serialize: false })) }
    })
    await cache.set({ key, value })
    return {
      get: (): Promise<unknown> => cache.get({ key }),
      getOrSet: (): Promise<unknown> => cache.getOrSet({ key, factory: missing })
    }
  },
  cacheable: async () => {
    const cache = new Cacheable({ primary: createKeyv({ useClone: false, lruSize: 1000 }) })
    await cache.set(key, value)
    return {
      get: (): Promise<unknown> => cache.get(key),
      getOrSet: (): Promise<unknown> => cache.getOrSet(key, missing)
    }
  }
}

const caches = { bentocache: await libraries.bentocache(), cacheable: await libraries.cacheable() }

/** Answers how long all reads took, in milliseconds. */
answerParent(async ({ call, library, times }: Reading): Promise<number> => {
  const read = caches[library][call]
  const start = performance.now()
  for (let index = 0; index < times; index++) {
    if (await read() !== value) throw new Error("another value than was kept")
  }
  return performance.now() - start
})
