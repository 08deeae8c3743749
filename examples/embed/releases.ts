import { Effect, Schedule } from "effect"
import { publish, type RealmUrl } from "lockstep"

/** A part of some host: it publishes the draft every ten minutes, and tells who wants to know. */
export const publishRegularly = <E, R>(
  realms: { readonly draft: RealmUrl.RealmUrl; readonly live: RealmUrl.RealmUrl },
  told: (generation: number) => Effect.Effect<void, E, R>
) =>
  publish({ sourceRealmUrl: realms.draft, publishedRealmUrl: realms.live }).pipe(
    Effect.flatMap(({ generation }) => told(generation)),
    Effect.schedule(Schedule.spaced("10 minutes"))
  )
