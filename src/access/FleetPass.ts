import { Clock, Context, Effect, Layer, Redacted } from "effect"
import { jwtVerify, SignJWT } from "jose"
import type { DatabaseError } from "../domain/errors.ts"
import { FleetSecretTable } from "../store/FleetSecretTable.ts"

/** The request header that a pass travels in. */
export const fleetHeader = "x-lockstep-fleet"

const issuer = "lockstep-fleet"

/** How long a pass is good, and for how long one is sent again, in milliseconds. */
const lifetime = 60_000
const reuse = 30_000

/** Seconds by which the clocks of two machines may differ. */
const clockTolerance = 30

/** How often the secret is looked up again because a pass does not hold, in milliseconds. */
const rereadMillis = 5_000

/**
 * How replicas and workers of one database know each other over HTTP: by short-lived passes, signed with a secret that is
 * in the database and is never sent. A pass reads everything and changes nothing.
 */
export class FleetPass extends Context.Service<FleetPass, {
  /** The header of a request to another replica. */
  readonly header: Effect.Effect<Readonly<Record<string, string>>, DatabaseError>
  /** Whether somebody of this database made the pass, a minute ago at most. */
  readonly holds: (pass: string) => Effect.Effect<boolean, DatabaseError>
}>()("lockstep/access/FleetPass") {
  static readonly layer = Layer.effect(
    FleetPass,
    Effect.gen(function*() {
      const table = yield* FleetSecretTable
      let key: { readonly bytes: Uint8Array; readonly readAt: number } | undefined
      let pass: { readonly text: string; readonly until: number } | undefined

      const keyOf = Effect.fnUntraced(function*(now: number) {
        if (key !== undefined) return key
        key = { bytes: Buffer.from(Redacted.value(yield* table.read)), readAt: now }
        return key
      })
      const verifies = (pass: string, bytes: Uint8Array, now: number) =>
        Effect.promise(() =>
          jwtVerify(pass, bytes, {
            algorithms: ["HS256"],
            issuer,
            requiredClaims: ["exp"],
            clockTolerance,
            currentDate: new Date(now)
          }).then(() => true, () => false)
        )

      return FleetPass.of({
        header: Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          if (pass === undefined || now >= pass.until || now < pass.until - reuse) {
            // Anew from the table: who makes a pass must not go on with a secret that was replaced.
            key = undefined
            const { bytes } = yield* keyOf(now)
            const text = yield* Effect.promise(() =>
              new SignJWT().setProtectedHeader({ alg: "HS256" }).setIssuer(issuer)
                .setExpirationTime(new Date(now + lifetime)).sign(bytes)
            )
            pass = { text, until: now + reuse }
          }
          return { [fleetHeader]: pass.text }
        }),
        holds: Effect.fnUntraced(function*(pass) {
          if (pass.length > 1024) return false
          const now = yield* Clock.currentTimeMillis
          const { bytes, readAt } = yield* keyOf(now)
          if (yield* verifies(pass, bytes, now)) return true
          // The secret may have been replaced. Looking is bounded, whoever sends what.
          if (now - readAt < rereadMillis) return false
          key = undefined
          const renewed = yield* keyOf(now)
          return yield* verifies(pass, renewed.bytes, now)
        })
      })
    })
  )
}
