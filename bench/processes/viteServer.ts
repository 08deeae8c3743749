/** Vite's dev server over a directory, with its own settings but for what this directory has not: pages, packages. */
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
  const address = server.httpServer?.address()
  if (typeof address !== "object" || address === null) throw new Error("Vite does not listen on a port")
  return address.port
}

answerParent(serve)
