import { Argument } from "effect/cli"
import { parseUrl } from "./quantities.ts"

/** An argument that names a realm or a module; the server says whether there is one. */
export const urlArgument = (name: string, description: string) =>
  Argument.String(name).pipe(
    Argument.withDescription(description),
    Argument.filterMap(parseUrl, () => "an http or https URL, such as http://localhost:4201/notes/")
  )
