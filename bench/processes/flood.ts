/** A process that asks a server for one path after the other, a few at a time, for as long as it is told to. */
import { answerParent } from "./answerParent.ts"
import { HttpConnection, requestBytes } from "./HttpConnection.ts"

export interface Flooding {
  readonly port: number
  /** Each is asked for once; there must be more than can be answered. */
  readonly paths: ReadonlyArray<string>
  readonly connections: number
  readonly millis: number
}

export interface Flooded {
  /** How many were asked for: whoever goes on begins there. */
  readonly asked: number
  readonly answered: number
}

const flood = async ({ connections, millis, paths, port }: Flooding): Promise<Flooded> => {
  const { promise, reject, resolve } = Promise.withResolvers<void>()
  let asked = 0
  let answered = 0
  const open = async () => {
    const send = () => {
      const path = paths[asked]
      if (path === undefined) return reject(new Error(`${asked} modules were too few`))
      asked++
      connection.send(requestBytes(path))
    }
    const connection = await HttpConnection.open({
      port,
      keepBodies: false,
      onFailure: reject,
      onAnswer: ({ head, status }) => {
        if (status !== 200) return reject(new Error(head))
        answered++
        send()
      }
    })
    return { connection, send }
  }
  const opened = await Promise.all(Array.from({ length: connections }, open))
  for (const { send } of opened) send()
  setTimeout(resolve, millis)
  try {
    await promise
    return { asked, answered }
  } finally {
    for (const { connection } of opened) connection.close()
  }
}

answerParent(flood)
