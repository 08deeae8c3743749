// The main thread of the isolated process, from `--eval`: the process can read no file, so nothing but `node:` is imported.
// It never runs authors' code. Each rendering has a thread of its own, and is over when that has ended; then it is told,
// in lines of JSON on the standard output, each after a word that no thread has seen. See Messages.ts.
import * as os from "node:os"
import { Worker } from "node:worker_threads"

interface Beginning {
  readonly word: string
  readonly thread: string
  readonly heapMb: number
  readonly outputLength: number
}

/** What a thread may say of its rendering. Anything may run in there. */
interface Said {
  readonly here?: unknown
  readonly need?: unknown
  readonly html?: unknown
  readonly none?: unknown
  readonly failure?: unknown
  readonly reason?: unknown
}

// A thread gets Node's permissions from its own arguments: without these it could do all that this account can.
const execArgv = [
  "--permission",
  "--experimental-vm-modules",
  "--no-warnings",
  "--no-addons",
  "--no-experimental-sqlite",
  "--input-type=module"
]

// Machine code that a rendering may have, in mebibytes. V8 reserves it, and half a gibibyte by default.
const codeRangeSizeMb = 32

const start = ({ heapMb, outputLength, thread }: Beginning) => {
  const worker = new Worker(thread, {
    eval: true,
    argv: [],
    env: {},
    execArgv,
    workerData: { outputLength },
    stdin: false,
    // Kept from the standard output and error of the process.
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: heapMb, codeRangeSizeMb }
  })
  worker.stdout.resume()
  worker.stderr.resume()
  // Whatever ends a thread is told by its "exit".
  worker.on("error", () => {})
  return worker
}

const begin = (beginning: Beginning) => {
  const say = (message: object) => void process.stdout.write(`${beginning.word}${JSON.stringify(message)}\n`)
  // Started while another renders. It has no author's code yet; if it ends, this process is of no use any more.
  const another = () => start(beginning).once("exit", onSpareExit)
  const onSpareExit = (code: number) => process.exit(code === 0 ? 1 : code)
  let spare = another()
  let running: Worker | undefined

  const render = (rendering: object) => {
    const worker = spare.off("exit", onSpareExit)
    running = worker
    let begun = false
    let reason: "crash" | "memory" = "crash"
    const end = (result: object) => {
      if (running !== worker) return
      running = undefined
      // What it has begun and not ended is over before anybody hears of its result.
      void worker.terminate().then(() => {
        say(result)
        if (isTouched()) process.exit()
      })
    }
    worker.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ERR_WORKER_OUT_OF_MEMORY") reason = "memory"
    })
    worker.once("exit", () =>
      end({
        failure: reason === "memory" ? "it needed more memory than it may have" : "its thread is gone",
        reason
      }))
    worker.on("messageerror", () => end(nonsense))
    worker.on("message", (message: Said | null) => {
      if (running !== worker) return
      if (message?.here === true && !begun) {
        begun = true
        say({ begun: true })
        worker.postMessage({ render: rendering })
        spare = another()
      } else if (typeof message?.need === "string") say({ need: message.need })
      else end(resultOf(message))
    })
    // Its answer shows that both threads are well, whatever the one before did to the process.
    worker.postMessage({ hello: true })
  }

  spare.once("online", () => say({ ready: true }))
  return (message: { readonly render?: object; readonly module?: object }) => {
    if (message.render !== undefined) render(message.render)
    else running?.postMessage(message)
  }
}

const nonsense = { failure: "it said what no rendering says", reason: "crash" }

const resultOf = (said: Said | null): object => {
  if (typeof said?.html === "string") return { html: said.html }
  if (said?.none === true) return { none: true }
  const { failure, reason } = said ?? {}
  return typeof failure === "string" && (reason === "error" || reason === "output") ? { failure, reason } : nonsense
}

// What a thread can change for all threads of the process, and Node lets it.
const touchable = () => `${os.getPriority()} ${process.title}`
const untouched = touchable()
const isTouched = () => touchable() !== untouched

let hear: ReturnType<typeof begin> | undefined
let rest = ""
process.stdin.setEncoding("utf8")
process.stdin.on("data", (chunk: string) => {
  const lines = (rest + chunk).split("\n")
  rest = lines.pop() ?? ""
  for (const line of lines) {
    const message = JSON.parse(line)
    if (hear === undefined) hear = begin(message)
    else hear(message)
  }
})
process.stdin.on("end", () => process.exit())
