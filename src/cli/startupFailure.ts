import { Redacted } from "effect"
import { CommandFailed } from "./CommandFailed.ts"
import { rootMessage, systemError } from "./systemError.ts"

/** What any part of a replica that does not start says of itself. */
export const startupFailure = (error: unknown) =>
  new CommandFailed({ message: error instanceof Error && error.message !== "" ? error.message : rootMessage(error) })

/** A database that was named and cannot be used: which one, why, and what to look at. */
export const databaseFailure = (url: Redacted.Redacted) => (error: unknown) => {
  if (!isDatabaseError(error)) return startupFailure(error)
  const code = systemError(error)?.code
  const reason = code === "ECONNREFUSED" ? "connection refused" : rootMessage(error)
  return new CommandFailed({
    message: `cannot use the PostgreSQL at ${address(Redacted.value(url))} (${reason}): check that it runs and that ` +
      "DATABASE_URL or --database-url is right, or leave both out for an embedded one"
  })
}

const isDatabaseError = (error: unknown) =>
  typeof error === "object" && error !== null && "_tag" in error &&
  (error._tag === "DatabaseError" || error._tag === "SqlError")

// Never with its password.
const address = (text: string) => {
  const url = new URL(text)
  return `${url.host === "" ? url.searchParams.get("host") ?? "localhost" : url.host}${url.pathname}`
}

/** An address that cannot be listened on. */
export const httpFailure = (host: string, port: number) => (error: unknown) => {
  const known = systemError(error)
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`
  switch (known?.code) {
    case "EADDRINUSE":
      return new CommandFailed({
        message: `${place} is in use: stop what listens there, or choose another --port (0 picks a free one)`
      })
    case "EACCES":
      return new CommandFailed({
        message: `listening on ${place} is not permitted: choose a --port of 1024 or above`
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new CommandFailed({
        message: `${host} is no address of this machine: choose another --host (0.0.0.0 is every one)`
      })
    default:
      return startupFailure(error)
  }
}
