import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose"
import { makeUserTokens, type UserTokensOptions } from "../../src/access/UserTokens.ts"

const secret = "0123456789abcdef0123456789abcdef"
const now = 1_800_000_000
const good: JWTPayload = { sub: "alice", exp: now + 60, iss: "https://login.example", aud: "lockstep" }

const without = (claim: string): JWTPayload =>
  Object.fromEntries(Object.entries(good).filter(([name]) => name !== claim))

const sign = (
  payload: JWTPayload,
  alg = "HS256",
  key: Parameters<SignJWT["sign"]>[0] = Buffer.from(secret),
  kid = ""
) => Effect.promise(() => new SignJWT(payload).setProtectedHeader({ alg, ...kid === "" ? {} : { kid } }).sign(key))

/** Who the token is of, or why it is refused. */
const verdict = Effect.fnUntraced(function*(options: UserTokensOptions, token: string) {
  yield* TestClock.setTime(now * 1000)
  const answer = yield* Effect.result(makeUserTokens(options)(token))
  return answer._tag === "Success" ? answer.success : answer.failure._tag
})

const shared: UserTokensOptions = {
  secret: Redacted.make(secret),
  issuer: "https://login.example",
  audience: "lockstep"
}

it.effect("a token names its user while it lasts, for whom it is meant, by who shares the secret", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* verdict(shared, yield* sign(good)), "alice")
    assert.strictEqual(yield* verdict(shared, yield* sign({ ...good, aud: ["other", "lockstep"] })), "alice")
    assert.strictEqual(
      yield* verdict(shared, yield* sign({ ...good, exp: now - 3 })),
      "alice",
      "clocks differ a little"
    )
    const wrong: ReadonlyArray<JWTPayload> = [
      { ...good, exp: now - 60 },
      { ...good, nbf: now + 60 },
      { ...good, aud: "other" },
      { ...good, iss: "https://evil.example" },
      { ...good, iss: "https://login.example/" },
      { ...good, sub: "" },
      { ...good, sub: "a".repeat(257) },
      { ...good, sub: "a\nb" },
      without("aud"),
      without("iss"),
      without("exp"),
      without("sub")
    ]
    for (const payload of wrong) {
      assert.strictEqual(yield* verdict(shared, yield* sign(payload)), "Unauthenticated", JSON.stringify(payload))
    }
  }))

it.effect("only the pinned algorithm counts, whatever the token says, and only the whole signature", () =>
  Effect.gen(function*() {
    const token = yield* sign(good)
    const [header = "", payload = "", signature = ""] = token.split(".")
    const others = [
      new UnsecuredJWT(good).encode(),
      `${Buffer.from(`{"alg":"none"}`).toString("base64url")}.${payload}.`,
      yield* sign(good, "HS384"),
      yield* sign(good, "HS512"),
      yield* sign(good, "HS256", Buffer.from(`${secret}x`)),
      `${header}.${payload}.${signature.slice(0, -4)}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${header}.${Buffer.from(JSON.stringify({ ...good, sub: "admin" })).toString("base64url")}.${signature}`,
      "",
      "..",
      "a.b.c",
      `${token}.x`
    ]
    for (const each of others) assert.strictEqual(yield* verdict(shared, each), "Unauthenticated", each)
  }))

/** A key set that is served, and how often it was asked for. */
const keyServer = Effect.gen(function*() {
  const served = {
    keys: new Array<unknown>(),
    asked: 0,
    status: 200,
    wasAsked: Promise.withResolvers<void>(),
    answering: Promise.resolve()
  }
  const server = yield* Effect.acquireRelease(
    Effect.callback<http.Server>((resume) => {
      const created = http.createServer(async (_, response) => {
        served.asked++
        served.wasAsked.resolve()
        await served.answering
        response.writeHead(served.status, { "content-type": "application/json" }).end(
          JSON.stringify({ keys: served.keys })
        )
      })
      created.listen(0, "127.0.0.1", () => resume(Effect.succeed(created)))
    }),
    (created) => Effect.sync(() => created.close().closeAllConnections())
  )
  const add = Effect.fnUntraced(function*(kid: string, alg: string) {
    const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair(alg, { extractable: true }))
    served.keys.push({ ...yield* Effect.promise(() => exportJWK(publicKey)), kid, alg })
    return privateKey
  })
  return { served, add, url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`) }
})

it.live("an issuer's keys are fetched once, used for asymmetric signatures alone, and unknown ones asked for with a bound", () =>
  Effect.gen(function*() {
    const { add, served, url } = yield* keyServer
    const ec = yield* add("one", "ES256")
    const check = makeUserTokens({ jwksUrl: url })
    const verdictOf = (token: string) =>
      Effect.map(
        Effect.result(check(token)),
        (answer) => answer._tag === "Success" ? answer.success : answer.failure._tag
      )
    const claims = { ...good, exp: Math.floor(Date.now() / 1000) + 60 }
    const token = yield* sign(claims, "ES256", ec, "one")
    assert.deepStrictEqual(
      yield* Effect.forEach([1, 2, 3, 4], () => verdictOf(token), { concurrency: "unbounded" }),
      ["alice", "alice", "alice", "alice"]
    )
    assert.strictEqual(served.asked, 1)
    // The public key, taken for a secret by who believes the token's own word on its algorithm.
    const confused = Buffer.from(JSON.stringify(served.keys[0]))
    assert.strictEqual(yield* verdictOf(yield* sign(claims, "HS256", confused, "one")), "Unauthenticated")
    assert.strictEqual(yield* verdictOf(new UnsecuredJWT(claims).encode()), "Unauthenticated")
    const stranger = yield* Effect.promise(() => generateKeyPair("ES256"))
    assert.strictEqual(yield* verdictOf(yield* sign(claims, "ES256", stranger.privateKey, "one")), "Unauthenticated")
    for (let n = 0; n < 20; n++) {
      assert.strictEqual(
        yield* verdictOf(yield* sign(claims, "ES256", stranger.privateKey, `made up ${n}`)),
        "Unauthenticated"
      )
    }
    assert.isAtMost(served.asked, 2)
  }).pipe(Effect.scoped))

it.effect("keys that cannot be had are nobody's fault but their server's, and are not asked for at once again", () =>
  Effect.gen(function*() {
    const { add, served, url } = yield* keyServer
    const key = yield* add("one", "EdDSA")
    const check = makeUserTokens({ jwksUrl: url })
    const token = yield* sign({ sub: "bob", exp: 60 }, "EdDSA", key, "one")
    const refused = Effect.map(Effect.flip(check(token)), ({ _tag }) => _tag)
    served.status = 500
    const answered = Promise.withResolvers<void>()
    served.answering = answered.promise
    const first = yield* Effect.forkChild(refused, { startImmediately: true })
    yield* Effect.promise(() => served.wasAsked.promise)
    // A server that hangs fails when its time is over: it is left alone from then on.
    yield* TestClock.adjust("5 seconds")
    answered.resolve()
    assert.strictEqual(yield* Fiber.join(first), "KeysUnavailable")
    yield* TestClock.adjust("999 millis")
    for (let n = 0; n < 20; n++) assert.strictEqual(yield* refused, "KeysUnavailable")
    assert.strictEqual(served.asked, 1)
    served.status = 200
    yield* TestClock.adjust("1 millis")
    assert.strictEqual(yield* check(token), "bob")
  }).pipe(Effect.scoped))
