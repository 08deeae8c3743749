import { Effect } from "effect"
import { noAnswer, type Received, type StubAnswer, stubServer } from "./stubServer.ts"

/** What stands before one server: it may answer otherwise than the fleet does. */
export type Disguise = (asked: Received, answer: () => StubAnswer) => StubAnswer

export const honest: Disguise = (_, answer) => answer()

export const cut: StubAnswer = { status: noAnswer, body: "" }

interface FakeRealm {
  generation: number
  text: string | undefined
}

const status = {
  uptimeSeconds: 1,
  leaseHeld: true,
  applied: {},
  mounted: [],
  jobs: []
}

const counters = [
  "transpiles l1Hits finishedHits l2Hits joined l2WriteRejected l2Errors invalidationsReceived listenerReconnects",
  "gapsRepaired leaseExpiries takeovers malformedPayloads failovers editsNoticed batchesFinished definitionHits",
  "definitionsComputed definitionsInvalidated definitionsCascaded renderings renderingsKept jobsDone jobsFailed",
  "jobTakeovers poolConnections lockConnections l1Bytes"
].join(" ").split(" ")

const notFound: StubAnswer = {
  status: 404,
  body: { type: "urn:lockstep:realm-not-found", title: "No such realm", status: 404, detail: "no such realm" }
}

/** Servers over one memory, which keep the promise perfectly, each behind a disguise. */
export const fakeFleet = Effect.fnUntraced(function*(disguises: ReadonlyArray<Disguise>) {
  const realms = new Map<string, FakeRealm>()
  const versions = new Map<string, string>()

  const describe = (replicaId: string) => ({
    ...status,
    ...Object.fromEntries(counters.map((name) => [name, 0])),
    replicaId,
    replicas: disguises.map((_, index) => ({
      replicaId: `replica-${index}`,
      bootId: `boot-${index}`,
      advertiseUrl: `http://replica-${index}/`,
      leaseMillis: 3000,
      leaseHeld: true,
      applied: {}
    }))
  })

  const move = (name: string, text: string | undefined) => {
    const realm = { generation: (realms.get(name)?.generation ?? 0) + 1, text }
    realms.set(name, realm)
    return { realmURL: `http://realms.test${name}`, generation: realm.generation }
  }

  const manage = (path: string, body: Readonly<Record<string, string>>): StubAnswer => {
    const nameOf = (url = "") => new URL(url).pathname
    if (path === "/_create-realm") return { status: 201, body: move(`/${body["name"]}/`, undefined) }
    if (path === "/_publish-realm") {
      const text = realms.get(nameOf(body["sourceRealmURL"]))?.text
      const name = nameOf(body["publishedRealmURL"])
      const moved = move(name, text)
      versions.set(`${name}@${moved.generation}/`, text ?? "")
      return { status: 202, body: moved }
    }
    if (path === "/_unpublish-realm") return { status: 200, body: move(nameOf(body["publishedRealmURL"]), undefined) }
    return realms.delete(nameOf(body["realmURL"])) ? { status: 200, body: {} } : notFound
  }

  const answer = (replicaId: string, { body, method, path }: Received): StubAnswer => {
    if (path === "/_status") return { status: 200, body: describe(replicaId) }
    if (method === "POST") return manage(path, JSON.parse(body))
    const name = path.replace(/[^/]*$/, "")
    const realm = realms.get(name)
    if (method === "PUT") return { status: 200, body: move(name, body) }
    if (method === "DELETE") return { status: 200, body: move(name, undefined) }
    const text = versions.get(name) ?? realm?.text
    if (text === undefined) return notFound
    return {
      status: 200,
      body: text.replace(": number", ""),
      headers: { "x-lockstep-generation": String(realm?.generation ?? 0) }
    }
  }

  const servers = yield* Effect.forEach(
    disguises,
    (disguise, index) => stubServer((asked) => disguise(asked, () => answer(`replica-${index}`, asked)))
  )
  return { servers, realms }
})
