export interface Person {
  readonly name: string
  readonly born: number
}

export const people: ReadonlyArray<Person> = [
  { name: "Ada Lovelace", born: 1815 },
  { name: "Grace Hopper", born: 1906 },
  { name: "Barbara Liskov", born: 1939 }
]
