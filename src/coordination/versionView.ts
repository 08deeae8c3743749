import { Effect, Option } from "effect"
import { FileNotFound } from "../domain/errors.ts"
import { ofVersion } from "../domain/RealmUrl.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"
import type { RealmView } from "./RealmMemory.ts"

/** The newest version at or below the generation. One from the future does not exist yet, and must not be guessed. */
export const versionView = Effect.fnUntraced(function*(view: RealmView, generation: number) {
  const { row } = view
  const versions = yield* RealmVersionTable
  const version = generation > row.generation ? Option.none() : yield* versions.at(row.realmUrl, generation)
  if (Option.isNone(version)) {
    return yield* new FileNotFound({
      realmUrl: row.realmUrl,
      path: `@${generation}`,
      detail: "is not a version that is kept"
    })
  }
  const { directory } = version.value
  const realmUrl = ofVersion(row.realmUrl, version.value.generation)
  return { ...view, row: { ...row, realmUrl, directory, generation: version.value.generation } } satisfies RealmView
})
