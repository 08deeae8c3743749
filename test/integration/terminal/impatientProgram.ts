import { boundTermination } from "../../../src/cli/termination.ts"

// What a command is that takes its time to end; with `serving`, one for which a signal is success.
if (process.argv.includes("serving")) process.exitCode = 0
boundTermination()
setInterval(() => {}, 1000)
console.log("running")
