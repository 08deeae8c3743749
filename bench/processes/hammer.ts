/** A process that asks one server for one path over and over. */
import { createHistogram } from "node:perf_hooks"
import { answerParent } from "./answerParent.ts"
import { HttpConnection, requestBytes } from "./HttpConnection.ts"

export interface Hammering {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  /** Each connection waits this long between an answer and its next request; 0 asks as fast as it is answered. */
  readonly pauseMillis: number
  readonly millis: number
  /** Every answer must be like this, or the measurement fails. */
  readonly expect: { readonly status: number; readonly bodyLength: number; readonly head: string }
}

export interface Hammered {
  readonly requests: number
  readonly perSecond: number
  readonly p50Millis: number
  readonly p99Millis: number
  /** Of this process: near 1, it measures itself. */
  readonly busy: number
}

const hammer = async (
  { connections, expect, headers, millis, path, pauseMillis, port }: Hammering
): Promise<Hammered> => {
  const request = requestBytes(path, headers)
  const latencies = createHistogram()
  const { promise, reject, resolve } = Promise.withResolvers<void>()
  let requests = 0

  const record = (sentAt: number) => latencies.record(Math.max(1, Math.round((performance.now() - sentAt) * 1000)))

  const open = async () => {
    let sentAt = 0
    let waits = false
    const send = () => {
      sentAt = performance.now()
      waits = true
      connection.send(request)
    }
    const connection = await HttpConnection.open({
      port,
      keepBodies: false,
      onFailure: reject,
      onAnswer: ({ bodyLength, head, status }) => {
        if (status !== expect.status || bodyLength !== expect.bodyLength || !head.includes(expect.head)) {
          return reject(new Error(`expected ${JSON.stringify(expect)}, got a body of ${bodyLength} and\n${head}`))
        }
        requests++
        waits = false
        record(sentAt)
        if (pauseMillis === 0) send()
        else setTimeout(send, pauseMillis)
      }
    })
    return { connection, send, recordWait: () => waits && record(sentAt) }
  }

  const opened = await Promise.all(Array.from({ length: connections }, open))
  const cpu = process.cpuUsage()
  const start = performance.now()
  // Spread over the pause, as they will be from then on.
  for (const [index, { send }] of opened.entries()) {
    if (pauseMillis === 0) send()
    else setTimeout(send, pauseMillis * index / connections)
  }
  setTimeout(resolve, millis)
  try {
    await promise
    const elapsed = performance.now() - start
    const { system, user } = process.cpuUsage(cpu)
    // Who was not answered has waited as well, so far: else a server that answers nobody would look the fastest.
    for (const { recordWait } of opened) recordWait()
    return {
      requests,
      perSecond: requests / elapsed * 1000,
      p50Millis: latencies.percentile(50) / 1000,
      p99Millis: latencies.percentile(99) / 1000,
      busy: (system + user) / 1000 / elapsed
    }
  } finally {
    for (const { connection } of opened) connection.close()
  }
}

answerParent(hammer)
