import { Clock, Context, Effect, Layer } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { Notifications } from "./Notifications.ts"

/** How long an answer is believed without having heard of the registry, in milliseconds. */
const belief = 5000

/** Origins remembered at once: a client may send any `Host`. */
const capacity = 1000

/** Which origins (`http://host:port`) have realms of their own: the others stand for the public URL's. */
export class Hosts extends Context.Service<Hosts, {
  readonly hasRealm: (origin: string) => Effect.Effect<boolean, DatabaseError>
}>()("lockstep/coordination/Hosts") {
  static readonly layer = Layer.effect(
    Hosts,
    Effect.gen(function*() {
      const notifications = yield* Notifications
      const realms = yield* RealmTable
      // Replaced as a whole when the registry moves, so that a question under way answers into a map nobody reads.
      let known = new Map<string, { readonly has: boolean; readonly until: number }>()
      yield* notifications.subscribe((event) => {
        if (event._tag !== "Message" || event.message.channel === "realm_registry") known = new Map()
      })
      return Hosts.of({
        hasRealm: Effect.fnUntraced(function*(origin: string) {
          const now = yield* Clock.currentTimeMillis
          const answers = known
          const answer = answers.get(origin)
          if (answer !== undefined && now < answer.until) return answer.has
          const has = yield* realms.hasOrigin(origin)
          if (answers.size >= capacity) answers.clear()
          answers.set(origin, { has, until: now + belief })
          return has
        })
      })
    })
  )
}
