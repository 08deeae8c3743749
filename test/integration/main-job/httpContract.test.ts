import { layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { Fleet, longLease } from "../../support/fleet.ts"
import { DataDir } from "../postgres/replicas.ts"
import { moduleContract } from "./moduleContract.ts"
import { realmContract } from "./realmContract.ts"

const embedded = Layer.unwrap(Effect.map(DataDir, (dataDir) => Fleet.layer({ embeddedIn: dataDir, args: longLease })))
const memoryServer = fileURLToPath(new URL("memoryServer.ts", import.meta.url))

const fleets = {
  "two replicas on one database": Fleet.layer({ args: longLease }),
  "one replica alone": Fleet.layer({ replicas: 1, args: longLease }),
  "two replicas on the embedded database": embedded.pipe(Layer.provide(DataDir.layer)),
  "one process without a database": Fleet.layer({ replicas: 1, program: memoryServer })
}

for (const [name, fleet] of Object.entries(fleets)) {
  layer(fleet, { excludeTestServices: true })(name, (it) => {
    moduleContract(it)
    realmContract(it)
  })
}
