// The same class that renders a person on a server renders it here.
import type { PersonModel } from "./person"

interface Instance {
  readonly data: {
    readonly attributes: PersonModel
    readonly meta: { readonly adoptsFrom: { readonly module: string; readonly name: string } }
  }
}

const people = ["ada", "grace", "barbara"]

const render = async (name: string) => {
  const instance: Instance = await fetch(`./${name}.json`).then((response) => response.json())
  const { attributes, meta: { adoptsFrom } } = instance.data
  const module = await import(new URL(adoptsFrom.module, import.meta.url).href)
  return new module[adoptsFrom.name](attributes).render()
}

const cards = await Promise.all(people.map(render))
document.querySelector("#people")!.innerHTML = cards.join("")
