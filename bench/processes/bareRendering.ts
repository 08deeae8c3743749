/** Rendering and nothing else: the class is imported once, and called for each instance. No HTTP, no isolation. */
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { answerParent } from "./answerParent.ts"

export interface Rendering {
  readonly directory: string
}

export interface RenderedAll {
  readonly millis: number
  readonly html: Readonly<Record<string, string>>
}

interface Instance {
  readonly data: { readonly attributes: unknown; readonly meta: { readonly adoptsFrom: { readonly name: string } } }
}

answerParent(async ({ directory }: Rendering): Promise<RenderedAll> => {
  const start = performance.now()
  const module = await import(pathToFileURL(path.join(directory, "person.ts")).href)
  const html: Record<string, string> = {}
  for (const name of readdirSync(directory).filter((each) => each.endsWith(".json"))) {
    const { data }: Instance = JSON.parse(readFileSync(path.join(directory, name), "utf8"))
    html[name] = await module[data.meta.adoptsFrom.name].isolated(data.attributes)
  }
  return { millis: performance.now() - start, html }
})
