import { Effect, Layer } from "effect"
import { globalMessage } from "../coordination/definitionMessages.ts"
import { Notifications } from "../coordination/Notifications.ts"
import { DefinitionGuard } from "../definitions/DefinitionGuard.ts"
import { DefinitionInvalidation } from "../definitions/DefinitionInvalidation.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { Cascade } from "./Cascade.ts"
import { Invalidation } from "./Invalidation.ts"

/** What `DefinitionLookup` asks for, on the one invalidation path. */
export const layerDefinitionInvalidation = Layer.effect(
  DefinitionInvalidation,
  Effect.gen(function*() {
    const cascade = yield* Cascade
    const guard = yield* DefinitionGuard
    const invalidation = yield* Invalidation
    const notifications = yield* Notifications
    const realms = yield* RealmTable

    const realm = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
      yield* invalidation.invalidate(realmUrl, "definitions")
      // Heard here too, a moment later; by then what was begun in between is void as well, which is harmless.
      guard.apply({ k: "realm", r: realmUrl })
    })

    return DefinitionInvalidation.of({
      modules: Effect.fnUntraced(function*(realmUrl, paths) {
        yield* cascade.follow(yield* invalidation.invalidate(realmUrl, paths))
      }),
      realm,
      everything: Effect.gen(function*() {
        // One realm's lock at a time: nobody ever waits for a second one here.
        for (const { realmUrl } of yield* realms.list) {
          yield* Effect.catchTag(realm(realmUrl), "RealmNotFound", () => Effect.void)
        }
        guard.apply({ k: "global" })
        yield* Effect.ignore(notifications.notify([globalMessage]))
      })
    })
  })
)
