/**
 * Loaded before the program (`node --import`): each SIGUSR2 reads how far the wall clock shall be off, in milliseconds,
 * from the file that `TEST_WALL_CLOCK` names. What is measured on the monotonic clock goes on, as when a machine's
 * clock is set.
 */
import { readFileSync } from "node:fs"

const RealDate = Date
let offset = 0

const shifted = () => RealDate.now() + offset

class ShiftedDate extends RealDate {
  constructor(...given: Array<unknown>) {
    super(...(given.length === 0 ? [shifted()] : given) as [number])
  }
  static override now() {
    return shifted()
  }
}

globalThis.Date = ShiftedDate as DateConstructor
process.on("SIGUSR2", () => {
  offset = Number(readFileSync(process.env["TEST_WALL_CLOCK"] ?? "", "utf8"))
  process.stdout.write(`the wall clock is ${offset} ms off\n`)
})
