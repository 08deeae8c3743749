/** A process that asks each server for each of its paths once, many at a time, and remembers what it got. */
import { createHash } from "node:crypto"
import { answerParent } from "./answerParent.ts"
import { HttpConnection, requestBytes } from "./HttpConnection.ts"

export interface Fetching {
  readonly servers: ReadonlyArray<{ readonly port: number; readonly paths: ReadonlyArray<string> }>
  /** To each server. */
  readonly connections: number
}

export interface Fetched {
  /** From the first request to the last answer of any server. */
  readonly millis: number
  /** Of each server in turn: its bodies' SHA-256, by path. */
  readonly hashes: ReadonlyArray<Readonly<Record<string, string>>>
}

const fetchAll = async ({ connections, servers }: Fetching): Promise<Fetched> => {
  const start = performance.now()
  const bodies = await Promise.all(servers.map(({ paths, port }) => fetchFrom(port, paths, connections)))
  const millis = performance.now() - start
  const hash = (body: Buffer) => createHash("sha256").update(body).digest("hex")
  return {
    millis,
    hashes: bodies.map((each) => Object.fromEntries(Array.from(each, ([path, body]) => [path, hash(body)])))
  }
}

const fetchFrom = async (port: number, paths: ReadonlyArray<string>, connections: number) => {
  const bodies = new Map<string, Buffer>()
  const waiting = paths.values()
  const { promise, reject, resolve } = Promise.withResolvers<void>()

  const open = async () => {
    let path: string | undefined
    const next = () => {
      path = waiting.next().value
      if (path === undefined) connection.close()
      else connection.send(requestBytes(path))
    }
    const connection = await HttpConnection.open({
      port,
      keepBodies: true,
      onFailure: reject,
      onAnswer: ({ body, head, status }) => {
        if (status !== 200 || body === undefined || path === undefined) {
          return reject(new Error(`${path}: ${head}\n\n${String(body).slice(0, 500)}`))
        }
        bodies.set(path, body)
        if (bodies.size === paths.length) resolve()
        next()
      }
    })
    next()
    return connection
  }

  const opened = await Promise.all(Array.from({ length: Math.min(connections, paths.length) }, open))
  try {
    await promise
  } finally {
    for (const connection of opened) connection.close()
  }
  return bodies
}

answerParent(fetchAll)
