import { Schema } from "effect"

/** A reindex that is not done: `dead` when it failed too often. */
export const Job = Schema.Struct({
  id: Schema.Int,
  kind: Schema.Literal("reindex"),
  realmUrl: Schema.String,
  generation: Schema.Int,
  state: Schema.Literals(["waiting", "running", "done", "superseded", "dead"]),
  attempts: Schema.Int,
  indexed: Schema.NullOr(Schema.Int),
  total: Schema.NullOr(Schema.Int),
  error: Schema.NullOr(Schema.String)
})
