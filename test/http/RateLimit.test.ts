import { assert, it } from "@effect/vitest"
import { clientAddress, clientOf, RateLimit } from "../../src/http/RateLimit.ts"

it("a client may ask its burst at once, then at its rate, and others are not held back", () => {
  let now = 0
  const limit = new RateLimit({ perSecond: 10, burst: 3 }, () => now)
  assert.deepStrictEqual([1, 2, 3].map(() => limit.take("a")), [0, 0, 0])
  assert.strictEqual(limit.take("a"), 1)
  assert.strictEqual(limit.take("b"), 0)
  now += 100
  assert.strictEqual(limit.take("a"), 0)
  assert.strictEqual(limit.take("a"), 1)
  now += 10_000
  assert.deepStrictEqual([1, 2, 3, 4].map(() => limit.take("a")), [0, 0, 0, 1])
  const slow = new RateLimit({ perSecond: 0.1, burst: 1 }, () => now)
  slow.take("a")
  assert.strictEqual(slow.take("a"), 10)
})

it("clients are remembered within a bound (I7)", () => {
  const limit = new RateLimit({ perSecond: 1, burst: 1 }, () => 0)
  assert.strictEqual(limit.take("first"), 0)
  assert.strictEqual(limit.take("first"), 1)
  for (let n = 0; n < 30_000; n++) limit.take(`client ${n}`)
  assert.strictEqual(limit.take("first"), 0)
})

it("an IPv6 host is one client whichever of its addresses it uses", () => {
  const same = (a: string, b: string) => assert.strictEqual(clientOf(a), clientOf(b), `${a} ${b}`)
  const other = (a: string, b: string) => assert.notStrictEqual(clientOf(a), clientOf(b), `${a} ${b}`)
  same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff")
  same("2001:db8:1:2::1", "2001:0db8:0001:0002:0:0:0:9")
  same("fe80::1%eth0", "fe80::2%eth1")
  same("::1", "::2")
  same("::ffff:10.0.0.1", "10.0.0.1")
  other("2001:db8:1:2::1", "2001:db8:1:3::1")
  other("2001:db8::1", "2001:db9::1")
  other("10.0.0.1", "10.0.0.2")
})

it("behind a trusted proxy the client is whom that proxy names, and a client cannot name itself", () => {
  assert.strictEqual(clientAddress("10.0.0.9", "1.2.3.4, 5.6.7.8", true), "5.6.7.8")
  assert.strictEqual(clientAddress("10.0.0.9", "1.2.3.4", false), "10.0.0.9")
  assert.strictEqual(clientAddress("10.0.0.9", undefined, true), "10.0.0.9")
  assert.strictEqual(clientAddress("10.0.0.9", "", true), "10.0.0.9")
})
