import { Context } from "effect"

/** No bound at all. */
export const unlimited = { bytes: Infinity, files: Infinity }

/** How large a source realm may become by writes. What is on disk already, and what is put there, stays. */
export const RealmLimits = Context.Reference<{
  /** Of all files together. */
  readonly bytes: number
  readonly files: number
}>("lockstep/lifecycle/RealmLimits", {
  defaultValue: () => unlimited
})
