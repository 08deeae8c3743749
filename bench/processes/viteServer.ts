/** Vite's dev server over a directory, with its own settings but for what this directory has not: pages, packages. */
import type { AddressInfo } from "node:net"
import { createServer } from "vite"
import { answerParent } from "./answerParent.ts"

export interface Serving {
  readonly root: string
}

const serve = async ({ root }: Serving) => {
  const server = await createServer({
    root,
    configFile: false,
    appType: "custom",
    logLevel: "error",
    // Its imports are not followed: only one module is asked for, and it is warm.
    optimizeDeps: { noDiscovery: true },
    server: { host: "127.0.0.1", port: 0, ws: false }
  })
  await server.listen()
  return (server.httpServer?.address() as AddressInfo).port
}

answerParent(serve)
