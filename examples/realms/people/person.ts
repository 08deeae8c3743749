import { Card, html } from "./card"

export interface PersonModel {
  readonly name: string
  readonly born: number
  readonly work: string
  readonly picture: string
  readonly fields: ReadonlyArray<string>
}

/** A person. The JSON files beside this one adopt from it: they are the data, this is how the data looks. */
export class Person extends Card<PersonModel> {
  /** Renders one person to HTML; no page and no browser are needed. */
  static isolated(model: PersonModel): string {
    return new Person(model).render().toString()
  }

  override title() {
    return this.model.name
  }

  override body() {
    const { born, fields, picture, work } = this.model
    return html`<img src="${picture}" alt="">
      <p class="born">born ${born}</p>
      <p>${work}</p>
      <ul>${fields.map((field) => html`<li>${field}</li>`)}</ul>`
  }
}
