import { Console } from "effect"
import { Command } from "effect/cli"

export const demo = Command.make("demo", {}, () => Console.log("soon"))
