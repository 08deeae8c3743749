import { shape } from "./svg"

/** A full turn of each hand, in seconds. */
const turn = { hour: 12 * 60 * 60, minute: 60 * 60, second: 60 } as const

type HandName = keyof typeof turn

const lengths: Readonly<Record<HandName, number>> = { hour: 48, minute: 72, second: 80 }

const tickMark = (index: number) => {
  const isHour = index % 5 === 0
  return shape("line", {
    class: isHour ? "tick hour" : "tick",
    y1: -92,
    y2: isHour ? -84 : -89,
    transform: `rotate(${index * 6})`
  })
}

/** A clock's face as an SVG element, and what moves its hands. */
export class AnalogClock {
  readonly face: SVGElement
  readonly #hands: ReadonlyArray<readonly [HandName, SVGElement]>

  constructor() {
    const names: ReadonlyArray<HandName> = ["hour", "minute", "second"]
    this.#hands = names.map((name) => [name, shape("line", { class: `hand ${name}`, y1: 12, y2: -lengths[name] })])
    this.face = shape("svg", { viewBox: "-100 -100 200 200", role: "img" }, [
      shape("circle", { class: "rim", r: 97 }),
      ...Array.from({ length: 60 }, (_, index) => tickMark(index)),
      ...this.#hands.map(([, hand]) => hand),
      shape("circle", { class: "pin", r: 4 })
    ])
  }

  show(time: Date) {
    const seconds = (time.getHours() * 60 + time.getMinutes()) * 60 + time.getSeconds()
    for (const [name, hand] of this.#hands) {
      hand.setAttribute("transform", `rotate(${(seconds % turn[name]) / turn[name] * 360})`)
    }
    this.face.setAttribute("aria-label", time.toLocaleTimeString())
  }
}
