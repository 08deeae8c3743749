import { existsSync } from "node:fs"
import { Effect, Exit, Layer, Option, Queue, Scope } from "effect"
import type { Browser, Page } from "playwright-core"
import { sha256 } from "../../domain/sha256.ts"
import { timeoutAwake } from "../../domain/timeoutAwake.ts"
import {
  defaultLimits,
  type LoadModule,
  Prerenderer,
  type Renderable,
  type Renderer,
  RenderFailure,
  type RenderLimits
} from "../Prerenderer.ts"

/** Which Chromium renders, and within what bounds. */
export interface ChromiumOptions extends Partial<RenderLimits> {
  /** Found in the usual places by default. */
  readonly executablePath?: string
}

const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
]

/** Where Chromium is on this machine, if it is. */
export const findChromium = (): string | undefined => places.find((place) => existsSync(place))

const unavailable = (detail: string) => new RenderFailure({ reason: "unavailable", detail })

/**
 * Renders in a headless Chromium, for code that needs a document: each rendering in a context and a page of its own, which
 * load nothing but the modules that they are handed. Needs `playwright-core` beside Lockstep, and a Chromium.
 */
export const layerChromium = ({ executablePath, ...given }: ChromiumOptions = {}) =>
  Layer.effect(
    Prerenderer,
    Effect.sync(() => {
      const limits = { ...defaultLimits, ...given }
      return Prerenderer.of({
        fingerprint: sha256(`chromium ${JSON.stringify(limits)} ${inPage.toString()}`),
        open: Effect.suspend(() => {
          const path = executablePath ?? findChromium()
          return path === undefined
            ? Effect.fail(unavailable("there is no Chromium here: install one, such as with apt-get install chromium"))
            : open(path, limits)
        })
      })
    })
  )

const open = Effect.fnUntraced(function*(executablePath: string, limits: RenderLimits) {
  const { chromium } = yield* Effect.tryPromise({
    try: () => import("playwright-core"),
    catch: () => unavailable("playwright-core is not installed: add it with npm install playwright-core")
  })
  const scope = yield* Effect.scope
  const launch = Effect.acquireRelease(
    Effect.tryPromise({
      // A profile of its own, made and removed by playwright.
      try: () =>
        chromium.launch({
          executablePath,
          headless: true,
          timeout: 30_000,
          env: {},
          args: [...flags, `--js-flags=--max-old-space-size=${limits.heapMb}`]
        }),
      catch: (cause) => unavailable(`Chromium does not start: ${String(cause).slice(0, 1000)}`)
    }),
    (browser) => closed(browser.close())
  )
  let running: { readonly browser: Browser; readonly scope: Scope.Closeable } | undefined
  const stop = Effect.suspend(() => {
    const ended = running
    running = undefined
    return ended === undefined ? Effect.void : Scope.close(ended.scope, Exit.void)
  })
  const current = Effect.gen(function*() {
    if (running?.browser.isConnected() === true) return running.browser
    yield* stop
    const own = yield* Scope.fork(scope)
    const browser = yield* Scope.provide(launch, own)
    running = { browser, scope: own }
    return browser
  })
  return {
    render: Effect.fnUntraced(function*(renderable, load) {
      const browser = yield* current
      return yield* renderIn(browser, renderable, load, limits).pipe(
        // What loops in a page keeps its process busy, whatever becomes of the page.
        Effect.tapError(({ reason }) => reason === "error" || reason === "output" ? Effect.void : stop),
        Effect.onInterrupt(() => stop)
      )
    })
  } satisfies Renderer
})

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage"
]

/** A page that hangs closes when its browser is killed, and nobody may wait for it before. */
const closed = (closing: Promise<void>) =>
  Effect.ignore(Effect.timeout(Effect.promise(() => closing.catch(() => {})), "5 seconds"))

const renderIn = Effect.fnUntraced(function*(
  browser: Browser,
  renderable: Renderable,
  load: LoadModule,
  limits: RenderLimits
) {
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({ try: run, catch: (cause) => new RenderFailure({ reason: "crash", detail: String(cause) }) })
  const context = yield* Effect.acquireRelease(
    attempt(() => browser.newContext({ serviceWorkers: "block", acceptDownloads: false })),
    (context) => closed(context.close())
  )
  const page = yield* attempt(() => context.newPage())
  const requests = yield* Queue.unbounded<Parameters<Parameters<Page["route"]>[1]>[0]>()
  const failures: Array<string> = []
  // Nothing goes out: every request is answered from here, or aborted.
  yield* attempt(() => context.route("**/*", (route) => void Queue.offerUnsafe(requests, route)))
  yield* attempt(() => context.routeWebSocket("**/*", (socket) => void socket.close()))
  const blank = new URL("/_lockstep-blank", renderable.module).href
  let modules = 0
  const answer = Effect.flatMap(Queue.take(requests), (route) =>
    Effect.gen(function*() {
      const request = route.request()
      const url = request.url()
      if (url === blank) {
        return yield* attempt(() => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }))
      }
      if (request.resourceType() !== "script" || ++modules > limits.modules) return yield* attempt(() => route.abort())
      const loaded = yield* Effect.result(load(url))
      if (loaded._tag === "Failure") failures.push(loaded.failure.detail)
      yield* attempt(() =>
        loaded._tag === "Success"
          ? route.fulfill({
            contentType: "text/javascript; charset=utf-8",
            body: loaded.success.code,
            headers: { "access-control-allow-origin": "*" }
          })
          : route.fulfill({ status: 404, contentType: "text/plain", body: loaded.failure.detail })
      )
    }).pipe(Effect.ignore))
  yield* Effect.forkScoped(Effect.forever(answer))
  const died = Effect.callback<never, RenderFailure>((resume) => {
    const fail = () => resume(Effect.fail(new RenderFailure({ reason: "crash", detail: "its page has crashed" })))
    page.once("crash", fail)
    browser.once("disconnected", fail)
    return Effect.sync(() => {
      page.off("crash", fail)
      browser.off("disconnected", fail)
    })
  })
  const { model, module, name } = renderable
  const given: Given = {
    module,
    name: name ?? null,
    model: model === undefined ? null : JSON.stringify(model),
    outputLength: limits.outputLength
  }
  const rendered = Effect.raceFirst(
    attempt(async () => {
      await page.goto(blank)
      return await page.evaluate<Rendered>(`(${inPage.toString()})(${JSON.stringify(given)}, (url) => import(url))`)
    }),
    died
  )
  const result = yield* timeoutAwake(rendered, {
    patience: limits.timeoutMillis,
    orElse: () =>
      Effect.fail(new RenderFailure({ reason: "timeout", detail: `it took longer than ${limits.timeoutMillis} ms` }))
  })
  if (result.html !== undefined) return Option.some(result.html)
  if (result.failure === undefined) return Option.none()
  return yield* new RenderFailure({
    reason: result.output === true ? "output" : "error",
    // What the browser says of a module that it did not get is less than why it did not.
    detail: [result.failure, ...failures].join("; ").slice(0, 4000)
  })
}, Effect.scoped)

interface Rendered {
  readonly html?: string
  readonly failure?: string
  readonly output?: boolean
}

interface Given {
  readonly module: string
  readonly name: string | null
  readonly model: string | null
  readonly outputLength: number
}

type Namespace = Readonly<Record<string, unknown>>

/** Runs in the page. It is sent there as text: nothing of this module is there, nor may it have an import. */
const inPage = async (given: Given, load: (url: string) => Promise<Namespace>): Promise<Rendered> => {
  const html = (result: unknown): Rendered => {
    const type = result === null || result === undefined
      ? String(result)
      : Array.isArray(result)
      ? "an array"
      : `${typeof result === "object" ? "an" : "a"} ${typeof result}`
    if (typeof result !== "string") throw new Error(`isolated() returned ${type}, not a string`)
    return result.length > given.outputLength
      ? { failure: `the HTML has ${result.length} characters; ${given.outputLength} are allowed`, output: true }
      : { html: result }
  }
  try {
    const namespace = await load(given.module)
    if (given.name === null) {
      return typeof namespace.isolated === "function" ? html(await namespace.isolated()) : {}
    }
    if (!(given.name in namespace)) throw new Error(`${given.module} exports no ${given.name}`)
    const model = given.model === null ? undefined : JSON.parse(given.model)
    const own = namespace[given.name] as Namespace | null | undefined
    if (typeof own?.isolated === "function") return html(await own.isolated(model))
    if (typeof namespace.isolated === "function") return html(await namespace.isolated(model))
    throw new Error(
      `${given.name} of ${given.module} has no static isolated(model), and the module exports no isolated(model)`
    )
  } catch (error) {
    try {
      const { message, name } = error as Error
      return { failure: typeof message === "string" ? `${name}: ${message}`.slice(0, 2000) : String(error) }
    } catch {
      const nothing = error === null || error === undefined
      return { failure: nothing ? `it threw ${String(error)}` : "it threw something that cannot be described" }
    }
  }
}
