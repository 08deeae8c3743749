import { Effect, Option, Result } from "effect"
import { SourceCache } from "../cache/SourceCache.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { importedPaths } from "../domain/imports.ts"
import { encode, isExecutable } from "../domain/ModulePath.ts"

/** Of a page's graph no more is named: a header is no place for a thousand modules. */
const maxLinks = 64

export interface Preload {
  /** Value of a `link` header; empty where the page loads no modules of its realm. */
  readonly link: string
  /** False while some of the graph is not in memory: then there is more to be said later. */
  readonly complete: boolean
}

/**
 * What a page's modules import, transitively, so that a browser asks for all of it at once instead of one level after the
 * other. Only what memory knows is followed: no page waits for a transpile.
 */
export const modulePreload = Effect.fnUntraced(function*(
  view: RealmView,
  page: { readonly path: string; readonly html: string }
): Effect.fn.Return<Preload, never, SourceCache | TranspiledModuleCache> {
  const base = view.row.realmUrl
  const modules = yield* TranspiledModuleCache
  const sources = yield* SourceCache
  const seen = new Set(importedPaths(base, page.path, scriptsOf(page.html)))
  let complete = true
  // A Set goes on with what is added while it is walked.
  for (const path of seen) {
    if (seen.size > maxLinks) break
    const source = yield* Effect.result(sources.read(view, path))
    if (Result.isFailure(source) || !isExecutable(source.success.canonicalPath)) continue
    const module = modules.peek(view, source.success)
    if (Option.isNone(module)) complete = false
    // A browser resolves imports against the URL that it asked for, alias or not.
    else for (const imported of importedPaths(base, path, module.value.dependencyKeys)) seen.add(imported)
  }
  const prefix = new URL(base).pathname
  const links = Array.from(seen).slice(0, maxLinks).map((path) => `<${prefix}${encode(path)}>; rel=modulepreload`)
  return { link: links.join(", "), complete }
})

/** Where the page's module scripts are. Good enough for a hint: a script that is missed is only loaded later. */
const scriptsOf = (html: string): ReadonlyArray<string> =>
  Array.from(
    html.matchAll(/<script\b[^>]*>/gi),
    ([tag]) =>
      /\btype\s*=\s*["']?module\b/i.test(tag) ? /\bsrc\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))/i.exec(tag) : null
  )
    .flatMap((found) => found === null ? [] : [relative(found[1] ?? found[2] ?? found[3] ?? "")])

/** A `src` is a URL and no specifier: `main.ts` lies beside the page. */
const relative = (src: string) => /^(?:\.{0,2}\/|[a-z]+:)/i.test(src) ? src : `./${src}`
