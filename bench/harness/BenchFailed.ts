import { Schema } from "effect"

/** The bench cannot measure, or measured something else than it meant to: its figures are void. */
export class BenchFailed extends Schema.TaggedError<BenchFailed>("lockstep/bench/BenchFailed")("BenchFailed", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}
