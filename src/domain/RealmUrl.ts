import { type Brand, Result } from "effect"
import { InvalidInput } from "./errors.ts"

/** A realm's URL in its WHATWG form: http or https, no query, ends in a slash. */
export type RealmUrl = string & Brand.Brand<"RealmUrl">

const invalid = (text: string, detail: string) =>
  Result.fail(new InvalidInput({ detail: `${JSON.stringify(text)} is not a realm URL: ${detail}` }))

/** Parses and normalises a realm URL that came from outside. */
export const parse = (text: string): Result.Result<RealmUrl, InvalidInput> => {
  if (text.length > 2048) return invalid(text.slice(0, 64) + "...", "it has more than 2,048 characters")
  if (!URL.canParse(text)) return invalid(text, "it must be absolute, such as http://localhost:4201/notes/")
  const url = new URL(text)
  if (url.protocol !== "http:" && url.protocol !== "https:") return invalid(text, "it must begin with http or https")
  if (url.username !== "" || url.password !== "") return invalid(text, "it must not carry credentials")
  if (url.search !== "" || url.hash !== "" || text.includes("?") || text.includes("#")) {
    return invalid(text, "it must not have a query or a fragment")
  }
  if (!url.pathname.endsWith("/")) return invalid(text, "it must end in a slash")
  if (/%2f|%5c|%00|\/\//i.test(url.pathname) || /(?:^|[/\\])\.{1,2}(?:[/\\]|$)/.test(decodeDots(text))) {
    return invalid(text, "it must not contain dot segments, empty segments or encoded slashes")
  }
  // S18: a notification's payload is split at the first "/:".
  if (url.pathname.includes("/:")) return invalid(text, "a path segment must not begin with a colon; write %3A")
  if (/\/_/.test(url.pathname) || /\/@\d+\//.test(url.pathname)) {
    return invalid(text, "path segments that begin with _ or are @digits are reserved")
  }
  if (url.pathname.split("/").length > maxDepth) return invalid(text, `it has more than ${maxDepth} path segments`)
  return Result.succeed(upperCaseEscapes(url.href) as RealmUrl)
}

/** The same for what a programmer wrote: throws an `InvalidInput`. */
export const make = (text: string): RealmUrl => Result.getOrThrow(parse(text))

const decodeDots = (text: string) => text.replace(/%2e/gi, ".")

/** The URL of the source realm `name` under the public URL. */
export const ofName = (publicUrl: RealmUrl, name: string): RealmUrl =>
  new URL(encodeURIComponent(name) + "/", publicUrl).href as RealmUrl

const reservedName = /^[_.@]|@\d+$/

/** Checks the name of a source realm, which is also its directory's name. */
export const checkName = (name: string): Result.Result<string, InvalidInput> => {
  const bad = (detail: string) =>
    Result.fail(new InvalidInput({ detail: `${JSON.stringify(name.slice(0, 64))} cannot name a realm: ${detail}` }))
  if (name === "") return bad("it is empty")
  if (Buffer.byteLength(name) > 128) return bad("it has more than 128 bytes")
  if (name !== name.trim()) return bad("it begins or ends with white space")
  // oxlint-disable-next-line no-control-regex
  if (/[/\\\u0000-\u001f\u007f]/.test(name)) return bad("slashes and control characters are not allowed")
  if (!name.isWellFormed()) return bad("it is not well-formed Unicode")
  if (reservedName.test(name)) return bad("names that begin with _ . or @, or end in @digits, are reserved")
  return Result.succeed(name)
}

/**
 * Every URL that could be the realm of a request, longest first: `/a/b/c.ts` gives `/a/b/`, `/a/` and `/`.
 * The raw path is taken as sent, so that nothing is resolved twice.
 */
export const candidates = (origin: string, rawPath: string): ReadonlyArray<RealmUrl> => {
  const found: Array<RealmUrl> = []
  let slash = rawPath.indexOf("/")
  while (slash >= 0 && found.length < maxDepth) {
    found.push(upperCaseEscapes(origin + rawPath.slice(0, slash + 1)) as RealmUrl)
    slash = rawPath.indexOf("/", slash + 1)
  }
  return found.reverse()
}

// A realm's URL has few segments; a file's path below it may have many. `parse` holds realms to this.
const maxDepth = 16

// %c3 and %C3 are the same octet, and a realm has one URL.
const upperCaseEscapes = (url: string) => url.replace(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase())

/** The realm's URL for one immutable published version, `<realm>@<generation>/`. */
export const ofVersion = (realm: RealmUrl, generation: number): RealmUrl => `${realm}@${generation}/` as RealmUrl

/** The realm itself, of its URL or of one of its versions': a realm's own URL has no such segment. */
export const ofWhole = (realm: RealmUrl): RealmUrl => realm.replace(/\/@\d+\/$/, "/") as RealmUrl

/** A notification's payload is `<realmURL>:<path>`; the separator is the first `/:`, as realm URLs end in a slash. */
export const splitPayload = (payload: string): { readonly realmUrl: string; readonly path: string } | undefined => {
  const separator = payload.indexOf("/:")
  if (separator < 0 || separator + 2 >= payload.length) return undefined
  return { realmUrl: payload.slice(0, separator + 1), path: payload.slice(separator + 2) }
}

/** The realm that a version's URL is of; any other URL as it is. */
export const unversioned = (url: string): string => url.replace(/\/@\d+\/$/, "/")
