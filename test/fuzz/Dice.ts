/** Chance that a seed decides on: the same throws for the same seed, on every machine (mulberry32). */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 to below `sides`. */
  in(sides: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * sides)
  }

  one<A>(choices: ReadonlyArray<A>): A {
    return choices[this.in(choices.length)] as A
  }

  /** None to `most` of them. */
  several<A>(most: number, make: () => A): Array<A> {
    return Array.from({ length: this.in(most + 1) }, make)
  }
}
