import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Data, Effect, Layer, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpClient, HttpClientRequest } from "effect/http"
import { FleetPass } from "../access/FleetPass.ts"
import { Membership } from "../coordination/Membership.ts"
import { type ReplicaRow, ReplicaTable } from "../store/ReplicaTable.ts"

/** A member of the fleet did not say what it was asked. */
export class MemberSilent extends Data.TaggedError("MemberSilent")<{
  readonly replicaId: string
  readonly detail: string
}> {
  override get message() {
    return `${this.replicaId} ${this.detail}`
  }
}

/** How long a member may take. */
const answerDeadline = "1 second"

/** A stream without a word for this long, heartbeats included, is a dead one. */
const silenceDeadline = "30 seconds"

/** The fleet as one replica sees it, and the way to ask its members about themselves. */
export class Members extends Context.Service<Members, {
  readonly self: ReplicaRow
  /** Everybody, this replica first; undefined where PostgreSQL does not say within a second. */
  readonly all: Effect.Effect<ReadonlyArray<ReplicaRow> | undefined>
  /** One question, answered within a second in the shape that was asked for. */
  readonly ask: <A>(
    member: ReplicaRow,
    path: string,
    shape: Schema.Codec<A, unknown>
  ) => Effect.Effect<A, MemberSilent>
  /** Server-sent events, until the stream ends. */
  readonly follow: (
    member: ReplicaRow,
    path: string,
    onEvent: (event: Sse.AnyEvent) => void,
    lastEventId?: string
  ) => Effect.Effect<void, MemberSilent>
}>()("lockstep/http/Members") {
  /** `basePath`: below which path of its address each member answers; the fleet's replicas have the same. */
  static readonly layer = (basePath: string) =>
    Layer.effect(
      Members,
      Effect.gen(function*() {
        const client = yield* HttpClient.HttpClient
        const self = yield* Membership
        const pass = yield* FleetPass
        const table = yield* ReplicaTable

        // Every question to another replica goes through here: what authenticates a replica is added in this one place.
        const execute = Effect.fnUntraced(function*(
          member: ReplicaRow,
          path: string,
          headers: Readonly<Record<string, string>> = {}
        ) {
          const proof = yield* Effect.mapError(pass.header, () => silent(member, "cannot be asked without PostgreSQL"))
          const request = HttpClientRequest.get(new URL(basePath + path, member.advertiseUrl)).pipe(
            HttpClientRequest.setHeaders({ ...headers, ...proof })
          )
          const response = yield* Effect.mapError(
            client.execute(request),
            () => silent(member, `cannot be reached at ${member.advertiseUrl}`)
          )
          if (response.status === 200) return response
          return yield* silent(member, `answered ${response.status} at ${member.advertiseUrl}`)
        })

        return Members.of({
          self,
          all: table.members.pipe(
            Effect.timeout("1 second"),
            Effect.map((members): ReadonlyArray<ReplicaRow> => [
              self,
              ...members.filter(({ bootId }) => bootId !== self.bootId)
            ]),
            Effect.orElseSucceed(() => undefined)
          ),
          ask: (member, path, shape) =>
            execute(member, path).pipe(
              Effect.flatMap((response) => Effect.flatMap(response.json, Schema.decodeUnknownEffect(shape))),
              Effect.mapError((error) =>
                error instanceof MemberSilent
                  ? error
                  : silent(member, "answered something else: is it of another version?")
              ),
              Effect.timeoutOrElse({
                duration: answerDeadline,
                orElse: () => Effect.fail(silent(member, `did not answer within ${answerDeadline}`))
              })
            ),
          follow: Effect.fnUntraced(function*(member, path, onEvent, lastEventId) {
            const parser = Sse.makeParser(onEvent)
            const response = yield* execute(
              member,
              path,
              lastEventId === undefined ? {} : { "last-event-id": lastEventId }
            )
            yield* response.stream.pipe(
              Stream.timeout(silenceDeadline),
              Stream.decodeText(),
              Stream.runForEach((text) => Effect.sync(() => parser.feed(text))),
              Effect.mapError(() => silent(member, "ended its stream"))
            )
          })
        })
      })
    ).pipe(Layer.provide([FleetPass.layer, NodeHttpClient.layerNodeHttpOptions({ keepAlive: true })]))
}

const silent = ({ replicaId }: ReplicaRow, detail: string) => new MemberSilent({ replicaId, detail })
