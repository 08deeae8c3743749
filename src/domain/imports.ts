import { Result } from "effect"
import { decode, encode, isHidden, isReserved } from "./ModulePath.ts"
import type { RealmUrl } from "./RealmUrl.ts"

/**
 * Which paths of its own realm a module imports, as a browser asks for them: relative specifiers, and URLs that lie in the
 * realm. They may be aliases, and need not exist.
 */
export const importedPaths = (
  realmUrl: RealmUrl,
  path: string,
  specifiers: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const base = realmUrl + encode(path)
  return specifiers.flatMap((specifier) => {
    if (!/^(?:\.{0,2}\/|https?:)/.test(specifier) || !URL.canParse(specifier, base)) return []
    const { origin, pathname } = new URL(specifier, base)
    if (!`${origin}${pathname}`.startsWith(realmUrl)) return []
    const imported = decode(`${origin}${pathname}`.slice(realmUrl.length))
    if (Result.isFailure(imported)) return []
    const name = imported.success
    return name === "" || name.endsWith("/") || isHidden(name) || isReserved(name) ? [] : [name]
  })
}
