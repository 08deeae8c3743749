import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { program } from "./cli/program.ts"
import { boundTermination, ignoreClosedPipes, teardown } from "./cli/termination.ts"
import { version } from "./domain/version.ts"

ignoreClosedPipes()
boundTermination()
NodeRuntime.runMain(program(version, process.argv.slice(2), process.env), { teardown, disableErrorReporting: true })
