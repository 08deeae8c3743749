/** HTML that is safe to insert: what `html` made, with every text in it escaped. */
export class Html {
  constructor(readonly text: string) {}

  toString() {
    return this.text
  }
}

const escape = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const safe = (value: unknown): string =>
  value instanceof Html ? value.text : Array.isArray(value) ? value.map(safe).join("") : escape(String(value))

export const html = (strings: TemplateStringsArray, ...values: ReadonlyArray<unknown>) =>
  new Html(String.raw({ raw: strings }, ...values.map(safe)))

/** What every card shares: a title, and a frame around what the card itself has to say. */
export class Card<Model> {
  constructor(readonly model: Model) {}

  title() {
    return "Untitled"
  }

  body() {
    return html``
  }

  render() {
    return html`<article class="card"><h2>${this.title()}</h2>${this.body()}</article>`
  }
}
