import { Effect } from "effect"
import { HttpClientRequest } from "effect/http"
import { versionOf } from "./module.ts"
import { request } from "./requests.ts"

/** What readers saw who never stopped asking. */
export interface Tally {
  answers: number
  /** Began after a publish had returned, and had bytes from before it. */
  stale: number
  /** Began before the publish under way returned: either version is right. */
  during: number
  /** Any answer but 200 with a version in it. */
  failed: number
  /** Answers by replica. */
  readonly byReplica: Map<string, number>
}

/** Readers that ask every replica for one module without a pause, and what they see. `published` is its version now. */
export const startReaders = Effect.fnUntraced(function*(
  urls: ReadonlyArray<string>,
  readersEach: number,
  published: number
) {
  const tally: Tally = { answers: 0, stale: 0, during: 0, failed: 0, byReplica: new Map() }
  // The version that a publish has promised: it changes when the publish returns, and is read before a request is sent.
  let promised = published
  const read = Effect.fnUntraced(function*(url: string) {
    const expected = promised
    const answer = yield* request(HttpClientRequest.get(url))
    const version = answer.status === 200 ? versionOf(answer.body) : undefined
    tally.answers += 1
    tally.byReplica.set(answer.replica, (tally.byReplica.get(answer.replica) ?? 0) + 1)
    if (version === undefined) tally.failed += 1
    else if (version < expected) tally.stale += 1
    else if (version !== promised) tally.during += 1
  })
  const readers = urls.flatMap((url) => Array.from({ length: readersEach }, () => url))
  yield* Effect.forkScoped(Effect.forEach(
    readers,
    (url) => Effect.forever(Effect.catch(read(url), () => Effect.sync(() => void (tally.failed += 1)))),
    { concurrency: "unbounded", discard: true }
  ))
  return {
    tally,
    /** A publish returned: whatever is asked for from now on must have this version. */
    promise: (version: number) => {
      promised = version
    }
  }
})
