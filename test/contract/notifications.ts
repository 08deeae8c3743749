import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, type Layer, Scope } from "effect"
import { type Event, Notifications } from "../../src/coordination/Notifications.ts"
import { eventually } from "../support/eventually.ts"

const eventuallyLength = (heard: ReadonlyArray<unknown>, length: number) =>
  eventually(`${length} messages`, Effect.sync(() => heard.length), (seen) => seen >= length)

/** What every Notifications promises. */
export const notifications = <E>(name: string, service: Layer.Layer<Notifications, E>) =>
  layer(service, { excludeTestServices: true })(`Notifications on ${name}`, (it) => {
    /** Hears until `last` has arrived; other tests' messages are not its own. */
    const hear = Effect.fnUntraced(function*(mine: string) {
      const { subscribe } = yield* Notifications
      const heard: Array<{ readonly channel: string; readonly payload: string; readonly sender: number }> = []
      const last = yield* Deferred.make<void>()
      yield* subscribe((event: Event) => {
        if (event._tag !== "Message" || !event.message.payload.startsWith(mine)) return
        heard.push(event.message)
        if (event.message.payload === `${mine} last`) Deferred.doneUnsafe(last, Effect.void)
      })
      return { heard, all: Deferred.await(last) }
    })

    it.effect("what one sender sends on a channel arrives once, in order, with one sender", () =>
      Effect.gen(function*() {
        const { notify } = yield* Notifications
        const { all, heard } = yield* hear("order")
        const payloads = Array.from({ length: 50 }, (_, index) => `order ${index}`)
        yield* notify([...payloads, "order last"].map((payload) => ({ channel: "realm_file_changes", payload })))
        yield* all
        assert.deepStrictEqual(heard.map((message) => message.payload), [...payloads, "order last"])
        assert.strictEqual(new Set(heard.map((message) => message.sender)).size, 1)
        assert.deepStrictEqual(new Set(heard.map((message) => message.channel)), new Set(["realm_file_changes"]))
      }))

    it.effect("messages sent together on several channels all arrive, each channel's in order", () =>
      Effect.gen(function*() {
        const { notify } = yield* Notifications
        const { all, heard } = yield* hear("mixed")
        const channels = ["lockstep_generations", "realm_file_changes", "module_cache_populated"] as const
        const sent = channels.flatMap((channel) =>
          Array.from({ length: 20 }, (_, index) => ({ channel, payload: `mixed ${index}` }))
        )
        yield* notify(sent)
        yield* notify([{ channel: "realm_registry", payload: "mixed last" }])
        yield* all
        yield* eventuallyLength(heard, 61)
        for (const channel of channels) {
          assert.deepStrictEqual(
            heard.filter((message) => message.channel === channel).map((message) => message.payload),
            Array.from({ length: 20 }, (_, index) => `mixed ${index}`)
          )
        }
      }))

    it.effect("every subscriber hears, and one whose scope was closed hears no more", () =>
      Effect.gen(function*() {
        const { notify } = yield* Notifications
        const left = yield* Scope.make()
        const gone = yield* Scope.provide(hear("scope"), left)
        const one = yield* hear("scope")
        const other = yield* hear("scope")
        yield* Scope.close(left, Exit.void)
        yield* notify([{ channel: "realm_registry", payload: "scope last" }])
        yield* one.all
        yield* other.all
        assert.strictEqual(gone.heard.length, 0)
      }))

    it.effect("a subscriber that throws neither ends the listening nor keeps others from hearing", () =>
      Effect.gen(function*() {
        const { notify, subscribe } = yield* Notifications
        const scope = yield* Scope.make()
        yield* Scope.provide(
          subscribe((event) => {
            if (event._tag === "Message" && event.message.payload.startsWith("bug")) throw new Error("a bug")
          }),
          scope
        )
        const { all, heard } = yield* hear("bug")
        yield* Effect.ignoreCause(notify([{ channel: "realm_registry", payload: "bug first" }]))
        yield* Effect.ignoreCause(notify([{ channel: "realm_registry", payload: "bug last" }]))
        yield* Effect.timeout(all, "60 seconds")
        assert.deepStrictEqual(heard.map((message) => message.payload), ["bug first", "bug last"])
        yield* Scope.close(scope, Exit.void)
      }))

    it.effect("sending nothing is allowed", () => Effect.flatMap(Notifications, ({ notify }) => notify([])))
  })
