import { executionAsyncResource } from "node:async_hooks"

/**
 * Keeps one of the objects that `process.nextTick` makes, of which every answer takes four. V8 forgets the hidden class of
 * objects of which none is left when it collects garbage, and `nextTick`, compiled by then, builds each later one property by
 * property in V8's runtime: 4 to 6 µs an answer, a fifth of a hit in memory (docs/BENCHMARKS.md). One that lives prevents it.
 */
let kept: object | undefined

process.nextTick(() => {
  kept = executionAsyncResource()
})

/** The object that is kept; undefined before the first turn of the event loop is over. */
export const keptTick = (): object | undefined => kept
