import { Result } from "effect"
import { InvalidInput } from "./errors.ts"

/**
 * Extensions served as transpiled JavaScript, in the order in which an extensionless name (an alias) tries them.
 */
export const executableExtensions = [".gts", ".ts", ".tsx", ".gjs", ".js", ".jsx", ".mts", ".mjs"] as const

const executable = /\.(?:gts|ts|tsx|gjs|js|jsx|mts|mjs)$/

/** Whether the file at this path is a module, served as JavaScript. */
export const isExecutable = (path: string): boolean => executable.test(path)

/** The name that imports may use for this module: its path without the extension. */
export const aliasOf = (path: string): string | undefined =>
  isExecutable(path) ? path.replace(executable, "") : undefined

/** Canonical paths that an extensionless name may stand for, first match wins. */
export const aliasCandidates = (path: string): ReadonlyArray<string> =>
  path === "" || path.endsWith("/") ? [] : executableExtensions.map((extension) => path + extension)

/** Longest path that is looked at, in bytes of its URL form. */
export const maxPathLength = 4096

const maxSegmentBytes = 255

const checkSegment = (segment: string): string | undefined => {
  if (segment === "." || segment === "..") return `"." and ".." are not allowed as path segments`
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(segment)) return "control characters are not allowed in a path"
  if (!segment.isWellFormed()) return "a path must be well-formed Unicode"
  if (/[/\\]/.test(segment)) return "encoded slashes and backslashes are not allowed in a path"
  if (Buffer.byteLength(segment) > maxSegmentBytes) return `a path segment may have ${maxSegmentBytes} bytes at most`
  return undefined
}

/** Names beginning with a dot are private to the realm's author (`.git`, `.env`): neither served nor written. */
export const isHidden = (path: string): boolean =>
  path.split("/").some((segment) => segment.startsWith(".") && segment !== ".well-known")

// Every level is a directory that a write may have to make and sync.
const maxSegments = 100

const checkSegments = (segments: ReadonlyArray<string>): string | undefined => {
  if (segments.length > maxSegments) return `a path may have ${maxSegments} segments at most`
  for (const [index, segment] of segments.entries()) {
    if (segment === "" && index < segments.length - 1) return "empty path segments are not allowed"
    const problem = checkSegment(segment)
    if (problem !== undefined) return problem
  }
  return undefined
}

const invalid = (detail: string) => Result.fail(new InvalidInput({ detail }))

/**
 * Decodes the part of a request's raw path that follows the realm's URL into a realm-relative path.
 * It may be empty (the realm itself) or end in a slash (a directory). Fails on anything that could mean another place
 * to another reader: traversal in any encoding, NUL, encoded slashes, broken percent signs.
 */
export const decode = (raw: string): Result.Result<string, InvalidInput> => {
  if (raw.length > maxPathLength) return invalid(`a path may have ${maxPathLength} characters at most`)
  let segments: ReadonlyArray<string>
  try {
    segments = raw.split("/").map(decodeURIComponent)
  } catch {
    return invalid("the path has a percent sign that does not begin an encoded UTF-8 character")
  }
  const problem = checkSegments(segments)
  return problem === undefined ? Result.succeed(segments.join("/")) : invalid(problem)
}

/** Checks a path given in plain text (JSON bodies, notifications): a file's path relative to its realm. */
export const parse = (path: string): Result.Result<string, InvalidInput> => {
  if (path === "" || path.endsWith("/")) return invalid("a file's path is needed")
  const problem = checkSegments(path.split("/"))
  if (problem !== undefined) return invalid(problem)
  return encode(path).length > maxPathLength
    ? invalid(`a path may have ${maxPathLength} characters at most in its URL form`)
    : Result.succeed(path)
}

/** The path as it stands in a URL. */
export const encode = (path: string): string => path.split("/").map(encodeURIComponent).join("/")

/** Paths beginning with `_` or `@digits/` at a realm's root belong to Lockstep, not to the realm's author. */
export const isReserved = (path: string): boolean => path.startsWith("_") || /^@\d+(?:\/|$)/.test(path)

/** Splits `@12/a/b.ts` into generation 12 and `a/b.ts`. */
export const splitVersion = (path: string): { readonly generation: number; readonly path: string } | undefined => {
  const match = /^@(\d{1,16})\/(.*)$/s.exec(path)
  const generation = Number(match?.[1])
  // Past what a number holds exactly there is no generation, and another one's must not be meant.
  return match === null || !Number.isSafeInteger(generation) ? undefined : { generation, path: match[2] ?? "" }
}
