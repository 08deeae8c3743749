import type { Dice } from "./Dice.ts"

/** Parts of URLs, headers and bodies that have been trouble somewhere. */
const words = [
  "a",
  "a.ts",
  "own",
  "open",
  "openlive",
  "kept",
  "page.html",
  "data",
  "data/x.json",
  "_realms",
  "_status",
  "_atomic",
  "_definitions",
  "_index",
  "_readiness-check",
  "_permissions",
  "_metrics",
  "_openapi.json",
  "_health",
  "_",
  "@1",
  "@1/a.ts",
  "@99999999999999999999",
  ".",
  "..",
  "%2e%2e",
  "%2E.",
  "..%2f..%2f",
  "%252e%252e",
  "%5c",
  "\\..\\",
  "//",
  "%00",
  "%",
  "%zz",
  "%ff",
  "%c0%ae%c0%ae",
  ";",
  "?module=a",
  "?module=../../outside/canary",
  "?path=a",
  "?path=%2e%2e/outside",
  "?source",
  "?all=true",
  "?wait=all",
  "#",
  ":*",
  "a.map",
  "a.ts.map",
  ".git/config",
  ".env",
  "outside",
  "canary.ts",
  "etc/passwd",
  "con",
  "__proto__",
  "constructor",
  "ümläut",
  "\u202e",
  "\ud83d",
  "http://evil.test/",
  "x".repeat(300),
  "é".repeat(5000),
  "*"
] as const

const methods = [
  "GET",
  "HEAD",
  "PUT",
  "POST",
  "DELETE",
  "OPTIONS",
  "PATCH",
  "TRACE",
  "CONNECT",
  "PROPFIND",
  "get",
  "",
  "GET "
] as const

const headerNames = [
  "accept",
  "accept-encoding",
  "if-none-match",
  "if-match",
  "x-lockstep-min-generation",
  "origin",
  "sec-fetch-site",
  "content-type",
  "content-encoding",
  "range",
  "priority",
  "x-forwarded-host",
  "x-forwarded-for",
  "x-lockstep-fleet",
  "authorization",
  "access-control-request-method",
  "cookie",
  "host",
  "__proto__",
  "x-http-method-override",
  "te"
] as const

const headerValues = [
  "*",
  "*/*",
  "text/html",
  "application/json",
  "application/vnd.lockstep.source",
  "text/event-stream",
  "gzip, br;q=0, *;q=0.1",
  "br",
  "\"x\", W/\"y\"",
  "1",
  "0",
  "-1",
  "1e309",
  "99999999999999999999",
  "chunked",
  "100-continue",
  "h2c",
  "websocket",
  "close, x",
  "bytes=0-1,5-",
  "u=7",
  "null",
  "https://evil.test",
  "cross-site",
  "same-origin",
  "Bearer x",
  "Bearer a.b.c",
  "Basic Og==",
  "a, ".repeat(500)
] as const

/** Of what a body's fields may be. */
const values = [
  "http://realms.test/open/",
  "http://realms.test/kept/",
  "http://realms.test/own/",
  "http://realms.test/fuzzed/",
  "http://realms.test/../outside/",
  "http://user:password@realms.test/",
  "file:///etc/passwd",
  "/etc",
  "../outside",
  "read",
  "owner",
  "none",
  "public",
  "private",
  "add",
  "remove",
  "\ud800",
  ""
] as const

const fields = [
  "realmURL",
  "sourceRealmURL",
  "publishedRealmURL",
  "name",
  "from",
  "private",
  "user",
  "permission",
  "visibility",
  "path",
  "operations",
  "op",
  "content",
  "__proto__"
] as const

const endpoints = [
  "/_create-realm",
  "/_publish-realm",
  "/_unpublish-realm",
  "/_delete-realm",
  "/_invalidate",
  "/_reindex",
  "/_permissions",
  "/own/_atomic",
  "/kept/_atomic"
] as const

const characters = Array.from("abc/._-@%?#:;\\\"'<>{}[]()&=+~* \t\r\n\0\x7f\u0080\u00ff\u2028\u{1f600}")

const anything = (dice: Dice): string => dice.several(12, () => dice.one(characters)).join("")

/** What is there: most requests are to get past the first hurdle. */
const sound = [
  "a",
  "a.ts",
  "a.ts?source",
  "a.ts.map",
  "page.html",
  "data/",
  "data/x.json",
  "@1/a.ts",
  "_definitions?module=a"
]

const word = (dice: Dice): string =>
  dice.in(2) === 0 ? dice.one(sound) : dice.in(6) > 0 ? dice.one(words) : anything(dice)

const scalar = (dice: Dice): unknown =>
  dice.one<() => unknown>([
    () => dice.one(values),
    () => dice.one(values),
    () => anything(dice),
    () => dice.one([0, -1, 1.5, 2 ** 53, true, false, null])
  ])()

const record = (dice: Dice, value: () => unknown) =>
  Object.fromEntries(dice.several(5, () => [dice.one(fields), value()] as const))

const field = (dice: Dice): unknown =>
  dice.one<() => unknown>([
    () => scalar(dice),
    () => scalar(dice),
    () => dice.several(4, () => scalar(dice)),
    () => dice.several(3, () => record(dice, () => scalar(dice)))
  ])()

/** Headers that say how long a request is, or that another protocol follows: such a one may not be answered. */
const framing: ReadonlyArray<string> = ["content-length", "transfer-encoding", "upgrade", "expect", "connection"]

/** Tokens that a case may send. */
export interface Tokens {
  /** Of a user who owns the realm `own` and may read nothing that is private. */
  readonly stranger: string
}

/** The bytes of one request, and whether an answer must come. */
export interface Request {
  readonly bytes: Buffer
  readonly answered: boolean
}

/** One request, which the dice decide on. */
export const requestOf = (dice: Dice, tokens: Tokens): Request => {
  const kind = dice.in(100)
  const isJson = kind < 12
  const method = isJson ? "POST" : kind < 70 ? "GET" : kind < 80 ? "HEAD" : dice.one(methods)
  const realm = dice.one(["open", "openlive", "kept", "own", "none", ""])
  const path = isJson
    ? dice.one(endpoints)
    : `/${realm}${realm === "" ? "" : "/"}${dice.several(3, () => word(dice)).join(dice.one(["/", ""]))}`
  const body = isJson ? JSON.stringify(record(dice, () => field(dice))) : method === "PUT" ? anything(dice) : ""
  const frames = dice.in(20) === 0
  const headers = dice.several(4, () => dice.one(frames ? framing : headerNames)).map((name) =>
    `${name}: ${dice.in(8) > 0 ? dice.one(headerValues) : anything(dice)}`
  )
  // Few write, which the disk takes its time for.
  if (dice.in(8) === 0) headers.push(`authorization: Bearer ${tokens.stranger}`)
  const text = [
    `${method} ${path} HTTP/1.1`,
    "host: realms.test",
    ...isJson ? ["content-type: application/json"] : [],
    ...headers,
    ...body === "" ? [] : [`content-length: ${Buffer.byteLength(body)}`],
    "connection: close",
    "",
    body
  ].join("\r\n")
  const encoding = dice.one(["utf8", "utf8", "latin1"] as const)
  const whole = Buffer.from(text, encoding)
  // Line ends in what was made up may end the request early. Node ends a tunnel that nobody listens for.
  // A body that is shorter than was said is waited for.
  const isPlain = !/[\r\n]/.test(`${path}${headers.join("")}`) && method !== "CONNECT" && !frames &&
    Buffer.byteLength(body, encoding) === Buffer.byteLength(body)
  switch (dice.in(100)) {
    case 0:
      return { bytes: Buffer.from(anything(dice)), answered: false }
    case 1:
      return { bytes: whole.subarray(0, dice.in(whole.length + 1)), answered: false }
    case 2:
      return { bytes: Buffer.from(text.replaceAll("\r\n", "\n")), answered: false }
    case 3:
      return { bytes: Buffer.from(text.replace("HTTP/1.1", "HTTP/1.0")), answered: false }
    case 4:
      return { bytes: Buffer.from(text.replace("\r\nhost: realms.test", "")), answered: false }
    case 5:
      return { bytes: Buffer.concat([whole, whole]), answered: false }
    default:
      return { bytes: whole, answered: isPlain }
  }
}
