import { Context, Effect, Layer, Result } from "effect"
import { Counters } from "../coordination/Counters.ts"
import { type DefinitionMessage, readDefinitionMessage } from "../coordination/definitionMessages.ts"
import { EventLog } from "../coordination/EventLog.ts"
import { Fence } from "../coordination/Fence.ts"
import { Notifications } from "../coordination/Notifications.ts"
import { decode } from "../domain/ModulePath.ts"

/** Taken before the first byte is read; whatever is made afterwards is fenced by it. */
export interface GuardToken {
  readonly fence: Fence
  readonly token: number
}

// Realms remembered at once. Forgetting them voids definitions, which is always safe.
const capacity = 10_000

/**
 * Orders definitions against what `module_cache_invalidated` says (S21): a generation for each module, each realm, and
 * all. It is apart from the realms' own fences, so that sources and JavaScript, which do not depend on other modules, stay.
 */
export class DefinitionGuard extends Context.Service<DefinitionGuard, {
  readonly capture: (realmUrl: string) => GuardToken
  /** Whether nothing voided this module's definitions since the token was taken. */
  readonly holds: (made: GuardToken, realmUrl: string, path: string) => boolean
  /** Voids what a message names, here. */
  readonly apply: (message: DefinitionMessage) => void
}>()("lockstep/definitions/DefinitionGuard") {
  static readonly layer = Layer.effect(
    DefinitionGuard,
    Effect.gen(function*() {
      const counters = yield* Counters
      const { record } = yield* EventLog
      const notifications = yield* Notifications
      const fences = new Map<string, Fence>()
      const fenceOf = (realmUrl: string): Fence => {
        const known = fences.get(realmUrl)
        if (known !== undefined) return known
        if (fences.size >= capacity) fences.clear()
        const fence = new Fence()
        fences.set(realmUrl, fence)
        return fence
      }
      const apply = (message: DefinitionMessage) => {
        // A fence that is not in the book holds nothing.
        if (message.k === "global") return fences.clear()
        const fence = fences.get(message.r)
        if (message.k === "realm") return fence?.drop()
        for (const url of message.m) {
          if (url.startsWith(message.r)) fence?.invalidate(pathOf(message.r, url))
        }
      }
      yield* notifications.subscribe((event) => {
        if (event._tag === "CaughtUp" && !event.continuous) return fences.clear()
        if (event._tag !== "Message" || event.message.channel !== "module_cache_invalidated") return
        const message = readDefinitionMessage(event.message.payload)
        if (message === undefined) return void counters.malformedPayloads++
        counters.invalidationsReceived++
        apply(message)
        if (message.k !== "global") {
          const paths = message.k === "realm" ? "*" : message.m.map((url) => pathOf(message.r, url))
          record({ kind: "cascade", realmUrl: message.r, paths, via: "notification" })
        }
      })
      return DefinitionGuard.of({
        apply,
        capture: (realmUrl) => {
          const fence = fenceOf(realmUrl)
          return { fence, token: fence.capture() }
        },
        holds: ({ fence, token }, realmUrl, path) => fences.get(realmUrl) === fence && fence.holds(token, path)
      })
    })
  )
}

const pathOf = (realmUrl: string, url: string) => Result.getOrElse(decode(url.slice(realmUrl.length)), () => "")
