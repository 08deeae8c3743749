import { Arbitrary, Schema } from "effect"

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
  "content-length",
  "transfer-encoding",
  "expect",
  "upgrade",
  "connection",
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

const Word = Schema.Union([Schema.Literals(words), Schema.Literals(words), Schema.String])
const Value = Schema.Union([Schema.Literals(headerValues), Schema.String])
const Scalar = Schema.Union([Schema.Literals(values), Schema.String, Schema.Finite, Schema.Boolean, Schema.Null])
const Field = Schema.Union([Scalar, Schema.Array(Scalar), Schema.Array(Schema.Record(Schema.Literals(fields), Scalar))])

const percent = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))

/** One request, as far as it has a form. */
export const Case = Schema.Struct({
  /** What is done to the bytes before they are sent. */
  mangle: percent,
  method: percent,
  oddMethod: Schema.Literals(methods),
  realm: Schema.Literals(["open", "openlive", "kept", "own", "none", ""]),
  path: Schema.Array(Word),
  slash: Schema.Boolean,
  headers: Schema.Array(Schema.Struct({ name: Schema.Literals(headerNames), value: Value })),
  credentials: percent,
  endpoint: Schema.Literals(endpoints),
  body: Schema.Record(Schema.Literals(fields), Field),
  text: Schema.String
})
export type Case = typeof Case.Type

export const cases = Arbitrary.schema(Case)

/** Tokens that a case may send. */
export interface Tokens {
  /** Of a user who owns the realm `own` and may read nothing that is private. */
  readonly stranger: string
}

/** The bytes that a case puts on the wire, and whether an answer must come. */
export const bytesOf = (each: Case, tokens: Tokens): { readonly bytes: Buffer; readonly answered: boolean } => {
  const isJson = each.method >= 70 && each.method < 80
  const method = isJson ? "POST" : each.method < 55 ? "GET" : each.method < 65 ? "HEAD" : each.oddMethod
  const path = isJson
    ? each.endpoint
    : `/${each.realm}${each.realm === "" ? "" : "/"}${each.path.slice(0, 6).join(each.slash ? "/" : "")}`
  const body = isJson ? JSON.stringify(each.body) : method === "PUT" || method === "POST" ? each.text : ""
  const headers = each.headers.slice(0, 5).map(({ name, value }) => `${name}: ${value}`)
  // Few write, which the disk takes its time for.
  if (each.credentials < 12) headers.push(`authorization: Bearer ${tokens.stranger}`)
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
  const whole = Buffer.from(text, each.mangle % 2 === 0 ? "utf8" : "latin1")
  switch (each.mangle) {
    case 0:
      return { bytes: Buffer.from(each.text), answered: false }
    case 1:
      return { bytes: whole.subarray(0, whole.length >> 1), answered: false }
    case 2:
      return { bytes: Buffer.from(text.replaceAll("\r\n", "\n")), answered: false }
    case 3:
      return { bytes: Buffer.from(text.replace("HTTP/1.1", "HTTP/1.0")), answered: false }
    case 4:
      return { bytes: Buffer.from(text.replace("\r\nhost: realms.test", "")), answered: false }
    case 5:
      return { bytes: Buffer.concat([whole, whole]), answered: false }
    default:
      // Node ends a tunnel that nobody listens for.
      return { bytes: whole, answered: method !== "CONNECT" }
  }
}
