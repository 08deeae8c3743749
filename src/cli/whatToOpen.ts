import { Console, Effect } from "effect"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmTable } from "../store/RealmTable.ts"

const shown = 20

/** Tells people, on stderr, where the realms are, and the dashboard. */
export const whatToOpen = Effect.fnUntraced(function*(publicUrl: RealmUrl, listeningUrl: string) {
  const realms = yield* RealmTable
  const urls = (yield* realms.list).map((realm) => reachable(realm.realmUrl, publicUrl, listeningUrl))
  yield* Console.error(describeRealms(urls))
  yield* Console.error(`The dashboard is at ${listeningUrl}/_dashboard`)
}, Effect.catch((error) => Effect.logWarning(error.message)))

export const describeRealms = (urls: ReadonlyArray<string>): string => {
  if (urls.length === 0) return "There are no realms yet: make one with \"lockstep create NAME\""
  const more = urls.length > shown ? [`  and ${urls.length - shown} more: see "lockstep realms"`] : []
  return ["Open:", ...urls.slice(0, shown).map((url) => `  ${url}`), ...more].join("\n")
}

/** A realm's URL as this replica answers it: its own address stands in for the public one when that is elsewhere. */
export const reachable = (realmUrl: string, publicUrl: string, listeningUrl: string): string => {
  const own = new URL(listeningUrl)
  const url = new URL(realmUrl)
  if (url.origin !== new URL(publicUrl).origin || (url.hostname === "localhost" && url.port === own.port)) {
    return realmUrl
  }
  return own.origin + url.pathname
}
