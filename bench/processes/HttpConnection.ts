import * as net from "node:net"

/** What came back: the status, the head as it stood, and the body if it was asked for. */
export interface Answer {
  readonly status: number
  readonly head: string
  readonly bodyLength: number
  readonly body: Buffer | undefined
}

/**
 * One keep-alive connection, one request at a time. It reads what servers here send and nothing more (a status line,
 * `content-length`, a body), which costs a fraction of `node:http`'s client: the client must not be what is measured.
 */
export class HttpConnection {
  readonly #socket: net.Socket
  readonly #keepBodies: boolean
  readonly #onAnswer: (answer: Answer) => void
  readonly #onFailure: (error: Error) => void
  #partOfHead: Buffer | undefined
  #head = ""
  #status = 0
  #bodyLength = 0
  #missing: number | undefined
  #chunks: Array<Buffer> = []
  #open = true

  private constructor(socket: net.Socket, options: Options) {
    this.#socket = socket
    this.#keepBodies = options.keepBodies
    this.#onAnswer = options.onAnswer
    this.#onFailure = options.onFailure
    socket.on("data", (chunk: Buffer) => this.#read(chunk))
    socket.on("error", (error) => this.#fail(error))
    socket.on("close", () => this.#fail(new Error("the server closed a connection")))
  }

  static open(options: Options): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: "127.0.0.1", port: options.port, noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => {
        socket.off("error", reject)
        resolve(new HttpConnection(socket, options))
      })
    })
  }

  /** Does nothing once the connection is closed. */
  send(request: Buffer): void {
    if (this.#open) this.#socket.write(request)
  }

  close(): void {
    this.#open = false
    this.#socket.destroy()
  }

  #fail(error: Error): void {
    if (!this.#open) return
    this.close()
    this.#onFailure(error)
  }

  #read(received: Buffer): void {
    let chunk = received
    if (this.#missing === undefined) {
      if (this.#partOfHead !== undefined) chunk = Buffer.concat([this.#partOfHead, chunk])
      const end = chunk.indexOf("\r\n\r\n")
      this.#partOfHead = end < 0 ? chunk : undefined
      if (end < 0) return
      this.#head = chunk.toString("latin1", 0, end)
      this.#status = Number(this.#head.slice(9, 12))
      const length = this.#status === 304 ? "0" : /\r\ncontent-length: (\d+)/i.exec(this.#head)?.[1]
      if (length === undefined) return this.#fail(new Error(`an answer without content-length:\n${this.#head}`))
      this.#missing = this.#bodyLength = Number(length)
      chunk = chunk.subarray(end + 4)
    }
    this.#missing -= chunk.length
    if (this.#keepBodies) this.#chunks.push(chunk)
    if (this.#missing > 0) return
    if (this.#missing < 0) return this.#fail(new Error("a body longer than its content-length"))
    this.#missing = undefined
    const body = this.#keepBodies ? Buffer.concat(this.#chunks) : undefined
    this.#chunks = []
    this.#onAnswer({ status: this.#status, head: this.#head, bodyLength: this.#bodyLength, body })
  }
}

interface Options {
  readonly port: number
  readonly keepBodies: boolean
  readonly onAnswer: (answer: Answer) => void
  /** Called at most once; the connection is closed then. */
  readonly onFailure: (error: Error) => void
}

export const requestBytes = (path: string, headers: Readonly<Record<string, string>> = {}): Buffer =>
  Buffer.from(
    [
      `GET ${encodeURI(path)} HTTP/1.1`,
      "host: 127.0.0.1",
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      "\r\n"
    ].join("\r\n")
  )
