/** What the page can speak: an enum, which becomes an object that the browser knows. */
export enum Language {
  English = "en",
  French = "fr",
  Esperanto = "eo",
  Portuguese = "pt"
}

export namespace Languages {
  export const all = Object.values(Language)

  /** The language's name in that language. */
  export const nameOf = (language: Language) => new Intl.DisplayNames(language, { type: "language" }).of(language)
}
