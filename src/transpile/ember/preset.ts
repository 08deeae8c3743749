/** What a worker of the farm imports for the ember preset: see `ember`. */
import * as babel from "@babel/core"
import typescript from "@babel/preset-typescript"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import { babelOptions, neutralOptions, typescriptOptions } from "../babelOptions.ts"
import { makeBabelPipeline, parseWithBabel, type Pipeline, supportedBy } from "../pipeline.ts"
import type { PresetContext } from "../Preset.ts"
import { CodeFault } from "../Problem.ts"
import type { EmberOptions } from "./ember.ts"
import { missingPackages } from "./packages.ts"
import { type ContentTag, parseTemplates, type Place, restoreTemplates, templateFault } from "./templates.ts"

type Plugins = NonNullable<babel.InputOptions["plugins"]>

interface TemplateCompiler {
  readonly precompile: (template: string, options: unknown) => string
}

/** The parts that are the host's. */
interface Packages {
  readonly tags: ContentTag
  readonly templates: babel.PluginObject
  readonly decorators: Plugins
  /** Where each template of the module in work is written. */
  readonly written: Map<string, Place>
}

export default async (
  { legacyDecorators }: { readonly legacyDecorators: EmberOptions["legacyDecorators"] },
  { from, pipeline }: PresetContext
): Promise<(base: Pipeline) => Pipeline> => {
  const lacking = missingPackages(from)
  if (lacking !== undefined) return (base) => withTemplates(rejecting(lacking), base)
  const packages = await load(from)
  const templates = templatePipeline(packages)
  warm(templates)
  if (legacyDecorators !== "everywhere") return (base) => withTemplates(templates, base)
  const legacy = makeBabelPipeline({ optionsFor: supportedBy(babelOptions(pipeline, packages.decorators)) })
  return () => withTemplates(templates, legacy)
}

const withTemplates = (templates: Pipeline, others: Pipeline): Pipeline => {
  const chosen = (path: string) => /\.g[jt]s$/.test(path) ? templates : others
  return {
    transpile: (path, bytes) => chosen(path).transpile(path, bytes),
    analyze: (path, bytes) => chosen(path).analyze(path, bytes),
    map: (path, bytes) => chosen(path).map(path, bytes)
  }
}

const rejecting = (why: string): Pipeline =>
  makeBabelPipeline({
    optionsFor: () => {
      throw new CodeFault(why)
    }
  })

const templatePipeline = ({ decorators, tags, templates, written }: Packages): Pipeline => {
  const gjs: babel.InputOptions = { ...neutralOptions, plugins: [() => templates, ...decorators], presets: [] }
  // its extension says nothing to Babel
  const gts: babel.InputOptions = {
    ...gjs,
    presets: [[typescript, { ...typescriptOptions, ignoreExtensions: true }]]
  }
  return makeBabelPipeline({
    optionsFor: (path) => ({ ...(path.endsWith(".gts") ? gts : gjs), filename: `/${path}` }),
    parse: parseTemplates(tags, parseWithBabel),
    prepare: restoreTemplates(tags, written)
  })
}

const load = async (from: string): Promise<Packages> => {
  const require = createRequire(from)
  const imported = (name: string) => import(pathToFileURL(require.resolve(name)).href)
  const contentTag: { readonly Preprocessor: new() => ContentTag } = await imported("content-tag")
  const compilation: {
    readonly default: (babel: unknown, options: unknown) => Promise<babel.PluginObject>
  } = await imported("babel-plugin-ember-template-compilation")
  const decorators: { readonly default: babel.PluginTarget } = await imported("decorator-transforms")
  const compiler: TemplateCompiler = await imported("ember-source/ember-template-compiler/index.js")
  const written = new Map<string, Place>()
  const precompile = (template: string, options: unknown) => {
    try {
      return compiler.precompile(template, options)
    } catch (error) {
      throw templateFault(error, written.get(template))
    }
  }
  return {
    written,
    tags: new contentTag.Preprocessor(),
    // Made here, because making it takes a promise, and Babel is to be run without.
    templates: await compilation.default(babel, { compiler: { ...compiler, precompile }, targetFormat: "wire" }),
    decorators: [[decorators.default, { runtime: { import: "decorator-transforms/runtime-esm" } }]]
  }
}

/** Cold, the first module takes ten times as long. */
const warm = (templates: Pipeline) => {
  const source = `
    import Component from "@glimmer/component"
    import { tracked } from "@glimmer/tracking"
    import { on } from "@ember/modifier"
    import { Part, type Props } from "./part.gts"
    export const Hello = <template>{{#if @name}}Hello {{@name}}{{else}}<Part class="a" {{on "click" @go}} />{{/if}}</template>
    export default class Warm extends Component<Props> {
      @tracked count = 0
      <template>{{#each @all as |one|}}<Hello @name={{one}} ...attributes />{{/each}}{{this.count}}</template>
    }`
  const bytes = new TextEncoder().encode(source)
  templates.transpile("warm.gts", bytes)
  templates.analyze("warm.gts", bytes)
}
