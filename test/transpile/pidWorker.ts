/** A farm worker that answers each job with the process that it runs in. Loaded by threads, so it imports only Node. */
import { parentPort } from "node:worker_threads"

parentPort?.on("message", () => parentPort?.postMessage(process.pid))
parentPort?.postMessage(process.pid)
