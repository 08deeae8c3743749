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
  /**
   * A person as a page of its own. Lockstep renders each instance with it, apart from everything else, and serves what it
   * stored: open ./ada here.
   */
  static isolated(model: PersonModel): string {
    const person = new Person(model)
    return html`<!doctype html>
      <html lang="en">
        <title>${person.title()}</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <link rel="icon" href="${model.picture}">
        <link rel="stylesheet" href="./style.css">
        <main>${person.render()}</main>
        <footer><a href="./index.html">everybody</a></footer>
      </html>`.toString()
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
