// Runs in a thread of the isolated process, which is begun for one rendering and ended after it: what the code does to
// this heap, it does to itself. The thread can read no file, so nothing but `node:` is imported. See Messages.ts.
import * as fs from "node:fs"
import * as vm from "node:vm"
import { parentPort, Worker, workerData } from "node:worker_threads"

// What permissions do not cover. Namespaces make it harmless where the system has them.
const host: NodeJS.Process & { _kill?: unknown; _debugProcess?: unknown; reallyKill?: unknown } = process
host.kill = () => true
delete host._kill
delete host._debugProcess

// Threads' permissions differ between Nodes: where one may more than it should, there is no renderer.
for (
  const forbidden of [
    () => fs.readdirSync("/"),
    () => fs.readFileSync(host.execPath),
    () => new Worker("", { eval: true })
  ]
) {
  try {
    forbidden()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_ACCESS_DENIED") continue
  }
  process.exit(1)
}

type Reply = { readonly code: string } | { readonly failure: string }

const limits: { readonly outputLength: number } = workerData
const say = (message: object) => parentPort?.postMessage(message)
const waiting = new Map<string, Array<(reply: Reply) => void>>()
const stringify = JSON.stringify

const ask = (url: string) =>
  new Promise<Reply>((resolve) => {
    const known = waiting.get(url)
    if (known !== undefined) return void known.push(resolve)
    waiting.set(url, [resolve])
    say({ need: url })
  })

// Classes of the web that rendering code may expect. Clocks are left out: what is rendered is stored.
const globals: Record<string, unknown> = {
  URL,
  URLSearchParams,
  TextEncoder,
  TextDecoder,
  structuredClone,
  queueMicrotask,
  atob,
  btoa
}

/** Links a module and what it imports in a context that has the language, and of Node only `globals`. */
const makeLinker = () => {
  const context = vm.createContext(vm.constants.DONT_CONTEXTIFY)
  Object.assign(context, globals)
  context["self"] = context
  const modules = new Map<string, Promise<vm.SourceTextModule>>()

  const load = (url: string): Promise<vm.SourceTextModule> => {
    const known = modules.get(url)
    if (known !== undefined) return known
    const loading = ask(url).then((reply) => {
      if ("failure" in reply) throw new Error(reply.failure)
      return new vm.SourceTextModule(reply.code, {
        context,
        identifier: url,
        initializeImportMeta: (meta) => {
          meta.url = url
        },
        importModuleDynamically: async (specifier: string) => await evaluated(resolve(specifier, url))
      })
    })
    modules.set(url, loading)
    return loading
  }
  const resolve = (specifier: string, from: string): string => {
    if (!/^(?:\.{0,2}\/|https?:)/.test(specifier)) {
      throw new Error(`${specifier} cannot be imported: a realm's modules import by path or URL`)
    }
    return new URL(specifier, from).href
  }
  // One graph at a time: a module that two graphs share cannot be linked by both at once.
  let linked: Promise<unknown> = Promise.resolve()
  const link = (module: vm.SourceTextModule) => {
    const linking = linked.then(async () => {
      if (module.status !== "unlinked") return
      await module.link((specifier, referencing) => load(resolve(specifier, referencing.identifier)))
    })
    linked = linking.catch(() => {})
    return linking
  }
  const evaluated = async (url: string) => {
    const module = await load(url)
    await link(module)
    await module.evaluate()
    return module
  }
  return { context, evaluated }
}

interface Exported {
  readonly isolated?: unknown
}

const render = async (module: string, name: string | undefined, model: string | undefined) => {
  const { context, evaluated } = makeLinker()
  const namespace = (await evaluated(module)).namespace as Record<string, unknown>
  if (name === undefined) {
    return typeof namespace["isolated"] === "function" ? html(await namespace["isolated"]()) : { none: true }
  }
  if (!(name in namespace)) throw new Error(`${module} exports no ${name}`)
  // Parsed inside, so that the model is made of the context's own objects.
  const given = model === undefined ? undefined : vm.runInContext(`JSON.parse(${stringify(model)})`, context)
  const own = namespace[name] as Exported | null | undefined
  if (typeof own?.isolated === "function") return html(await own.isolated(given))
  if (typeof namespace["isolated"] === "function") return html(await namespace["isolated"](given))
  throw new Error(`${name} of ${module} has no static isolated(model), and the module exports no isolated(model)`)
}

const html = (result: unknown) => {
  if (typeof result !== "string") throw new Error(`isolated() returned ${describe(result)}, not a string`)
  if (result.length > limits.outputLength) {
    return { failure: `the HTML has ${result.length} characters; ${limits.outputLength} are allowed`, reason: "output" }
  }
  return { html: result }
}

const describe = (value: unknown) => {
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? "an array" : `${typeof value === "object" ? "an" : "a"} ${typeof value}`
}

const told = (error: unknown): string => {
  try {
    const { message, name, stack } = error as Error
    if (typeof message !== "string") return String(error).slice(0, 2000)
    const where = /(?:https?:[^\s()]+:\d+:\d+)/.exec(String(stack))
    return `${String(name)}: ${message}${where === null ? "" : ` (${where[0]})`}`.slice(0, 2000)
  } catch {
    return error === null || error === undefined
      ? `it threw ${String(error)}`
      : "it threw something that cannot be described"
  }
}

const onMessage = (message: {
  readonly hello?: true
  readonly render?: { readonly module: string; readonly name?: string; readonly model?: string }
  readonly module?: { readonly url: string } & Reply
}) => {
  if (message.hello !== undefined) {
    say({ here: true })
  } else if (message.module !== undefined) {
    const { url, ...reply } = message.module
    const resolvers = waiting.get(url) ?? []
    waiting.delete(url)
    for (const resolve of resolvers) resolve(reply as Reply)
  } else if (message.render !== undefined) {
    const { model, module, name } = message.render
    // An endless wait keeps nothing alive that the deadline does not end.
    void render(module, name, model).then(say, (error: unknown) => say({ failure: told(error), reason: "error" }))
  }
}

// A promise that nobody waits for is the author's mistake, and no reason to lose the thread.
process.on("unhandledRejection", () => {})
process.on("uncaughtException", () => {})
parentPort?.on("message", onMessage)
