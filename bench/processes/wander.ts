/** A process that asks a server for ever other things: what is there, what is not, and what nobody has heard of. */
import { answerParent } from "./answerParent.ts"
import { HttpConnection, requestBytes } from "./HttpConnection.ts"

export interface Wandering {
  readonly port: number
  readonly connections: number
  readonly requests: number
  /** How many different paths there are, query strings included. */
  readonly distinct: number
  /** The realms' paths, and how many modules `module-<n>.ts` each has. */
  readonly realms: ReadonlyArray<string>
  readonly modules: number
}

/** How often each status was answered. */
export type Wandered = Readonly<Record<string, number>>

/** What the n-th request asks for. Of ten, two are modules, one by its alias, one with a query; the others are not there. */
const requestOf = ({ distinct, modules, realms }: Wandering, n: number): Buffer => {
  const which = Math.imul(n, 0x9e37_79b1) >>> 0
  const number = which % distinct
  const realm = realms[Math.floor(which / distinct) % realms.length]
  const module = number % modules
  switch (n % 10) {
    case 0:
    case 1:
      return requestBytes(`${realm}module-${module}.ts`)
    case 2:
      return requestBytes(`${realm}module-${module}`)
    case 3:
      return requestBytes(`${realm}module-0.ts?version=${number}`)
    case 4:
      return requestBytes(`/nobody-${number}/module.ts`)
    case 5:
      return requestBytes(`${realm}module-0.ts`, { "x-asks": String(n), accept: `text/x-${number}, */*` })
    case 6:
      return requestBytes(`${realm}deep/er/${number}`)
    default:
      return requestBytes(`${realm}missing-${number}.ts`)
  }
}

const wander = async (wandering: Wandering): Promise<Wandered> => {
  const { connections, port, requests } = wandering
  const statuses: Record<string, number> = {}
  const { promise, reject, resolve } = Promise.withResolvers<void>()
  let asked = 0
  let answered = 0
  const open = async () => {
    const send = () => {
      if (asked < requests) connection.send(requestOf(wandering, asked++))
    }
    const connection = await HttpConnection.open({
      port,
      keepBodies: false,
      onFailure: reject,
      onAnswer: ({ head, status }) => {
        if (status >= 500) return reject(new Error(head))
        statuses[status] = (statuses[status] ?? 0) + 1
        if (++answered === requests) resolve()
        send()
      }
    })
    return { connection, send }
  }
  const opened = await Promise.all(Array.from({ length: connections }, open))
  for (const { send } of opened) send()
  try {
    await promise
    return statuses
  } finally {
    for (const { connection } of opened) connection.close()
  }
}

answerParent(wander)
