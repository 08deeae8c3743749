import { Effect, Option, Pool } from "effect"
import { Counters } from "../coordination/Counters.ts"
import type { DatabaseError } from "../domain/errors.ts"
import { encode } from "../domain/ModulePath.ts"
import type { JobRow, Progress } from "../store/JobTable.ts"
import { type Dependency, type IndexEntry, RealmIndexTable } from "../store/RealmIndexTable.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { mayRender, renderableOf } from "./entries.ts"
import { NothingRendered } from "./NothingRendered.ts"
import { Prerenderer, type Renderable, type Renderer, RenderFailure } from "./Prerenderer.ts"
import { makeRealmReader, type RealmReader } from "./RealmReader.ts"
import type { ReplicasUnavailable } from "./Replicas.ts"

/** A file that has to be rendered: it is new, or its bytes or something that it was made from has changed. */
interface Task {
  readonly path: string
  readonly hash: string
  readonly renderable: Renderable
}

export interface ReindexOptions {
  /** How many renderings at a time, each in a process of its own. */
  readonly renderers: number
  /** Told of each step. */
  readonly onProgress: (progress: Progress) => void
}

/** Files whose source is compared at a time; `Replicas` bounds the requests. */
const comparisons = 16

/**
 * Renders a realm's instances and modules at the job's generation. What has not changed since it was stored is carried
 * over, in one statement, before anything is rendered: after an edit of one file most of a realm is ready at once. Every
 * result says what it was made from.
 */
export const reindexRealm = Effect.fn("reindexRealm")(function*(job: JobRow, options: ReindexOptions) {
  const counters = yield* Counters
  const index = yield* RealmIndexTable
  const prerenderer = yield* Prerenderer
  const realms = yield* RealmTable
  const { generation, realmUrl } = job
  const [realm] = (yield* realms.read([realmUrl])).realms
  if (realm?.state !== "live") return { indexed: 0, total: 0 }

  const reader = yield* makeRealmReader({
    realmUrl,
    generation,
    version: realm.kind === "published" ? generation : undefined
  })
  const files = (yield* reader.list).filter(mayRender)
  const progress = { indexed: 0, total: files.length }
  const step = () => {
    progress.indexed++
    options.onProgress({ ...progress })
  }
  options.onProgress({ ...progress })

  const stored = new Map((yield* index.entries(realmUrl)).map((entry) => [entry.path, entry]))
  const compared = yield* Effect.forEach(files, (path) =>
    Effect.tap(
      compare(reader, realmUrl, path, stored.get(path), prerenderer.fingerprint),
      (outcome) => outcome === undefined || outcome === "unchanged" ? Effect.sync(step) : Effect.void
    ), { concurrency: comparisons })
  const unchanged = files.filter((_, at) => compared[at] === "unchanged")
  const tasks = compared.flatMap((outcome) => outcome === undefined || outcome === "unchanged" ? [] : [outcome])
  counters.renderingsKept += yield* index.carry(realmUrl, unchanged, generation)

  const rendered = yield* renderAll(
    tasks,
    reader,
    options.renderers,
    (task, outcome, dependencies) =>
      Effect.gen(function*() {
        step()
        if (outcome === undefined) return undefined
        counters.renderings++
        yield* index.store({
          realmUrl,
          path: task.path,
          hash: task.hash,
          dependencies,
          renderer: prerenderer.fingerprint,
          isolatedHtml: "html" in outcome ? outcome.html : null,
          error: "error" in outcome ? outcome.error : null,
          generation
        })
        return task.path
      })
  )
  yield* index.retain(realmUrl, [...unchanged, ...rendered.flatMap((path) => path ?? [])], generation)
  return progress
}, Effect.scoped)

/** Whether a file's stored rendering still stands, or what has to be rendered; nothing for a file that has no rendering. */
const compare = Effect.fnUntraced(function*(
  reader: RealmReader,
  realmUrl: string,
  path: string,
  stored: IndexEntry | undefined,
  renderer: string
): Effect.fn.Return<Task | "unchanged" | undefined, ReplicasUnavailable | DatabaseError, NothingRendered> {
  const nothing = yield* NothingRendered
  const known = stored?.renderer === renderer ? stored : undefined
  const source = yield* reader.source(path, known?.hash ?? nothing.get(realmUrl, path))
  if (source === undefined) return undefined
  if (known === undefined && source.text === undefined) return undefined
  if (known?.hash === source.hash && (yield* allHold(reader, known.dependencies))) return "unchanged"
  const found = source.text === undefined ? yield* reader.source(path, undefined) : source
  if (found?.text === undefined) return undefined
  const renderable = renderableOf(path, realmUrl + encode(path), found.text)
  if (renderable === undefined) {
    nothing.set(realmUrl, path, found.hash)
    return undefined
  }
  return { path, hash: found.hash, renderable }
})

const allHold = Effect.fnUntraced(function*(reader: RealmReader, dependencies: ReadonlyArray<Dependency>) {
  for (const dependency of dependencies) if (!(yield* reader.holds(dependency))) return false
  return true
})

type Outcome = { readonly html: string } | { readonly error: string } | undefined

const renderAll = Effect.fnUntraced(function*<A, E, R>(
  tasks: ReadonlyArray<Task>,
  reader: RealmReader,
  renderers: number,
  done: (task: Task, outcome: Outcome, dependencies: ReadonlyArray<Dependency>) => Effect.Effect<A, E, R>
) {
  if (tasks.length === 0) return []
  const { open } = yield* Prerenderer
  const pool = yield* Pool.make({ acquire: open, size: Math.min(renderers, tasks.length) })
  return yield* Effect.forEach(tasks, (task) =>
    Effect.gen(function*() {
      const { dependencies, outcome } = yield* Effect.scoped(
        Effect.flatMap(Pool.get(pool), (renderer) => renderOne(task, reader, renderer))
      )
      return yield* done(task, outcome, dependencies)
      // Some are being stored.
    }), { concurrency: 2 * renderers })
})

/** One rendering and what it was made from. An author's mistake is its outcome; that nobody could be asked is a failure. */
const renderOne = Effect.fnUntraced(function*(task: Task, reader: RealmReader, renderer: Renderer) {
  const dependencies = new Map<string, Dependency>()
  let unavailable: ReplicasUnavailable | DatabaseError | undefined
  const load = (url: string) =>
    reader.module(url).pipe(
      Effect.mapError((error) => {
        unavailable = error
        return new RenderFailure({ reason: "unavailable", detail: error.message })
      }),
      Effect.flatMap((found) => {
        const { dependency } = found
        if (dependency !== undefined) dependencies.set(`${dependency.realm}\0${dependency.asked}`, dependency)
        return "code" in found
          ? Effect.succeed(found)
          : Effect.fail(new RenderFailure({ reason: "error", detail: found.failure }))
      })
    )
  const result = yield* Effect.result(renderer.render(task.renderable, load))
  if (unavailable !== undefined) return yield* unavailable
  if (result._tag === "Failure" && result.failure.reason === "unavailable") return yield* result.failure
  const outcome: Outcome = result._tag === "Failure"
    ? { error: result.failure.detail.replaceAll("\0", "") }
    : Option.match(result.success, { onNone: () => undefined, onSome: storable })
  return { outcome, dependencies: Array.from(dependencies.values()) }
})

// PostgreSQL's text cannot hold it, and no HTML may.
const storable = (html: string) => html.includes("\0") ? { error: "the HTML has a NUL character" } : { html }

export type ReindexFailure = ReplicasUnavailable | DatabaseError | RenderFailure
export type ReindexServices = Effect.Services<ReturnType<typeof reindexRealm>>
