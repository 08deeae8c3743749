import { Layer } from "effect"
import { ArtifactTable } from "../../../src/store/ArtifactTable.ts"
import { EncodingTable } from "../../../src/store/EncodingTable.ts"
import { ModuleTable } from "../../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../../src/store/RealmVersionTable.ts"
import { collector } from "../../contract/collector.ts"
import { realmFiles } from "../../realms/temporaryRealms.ts"
import { olderInPostgres } from "../../store/olderVersions.ts"
import { postgres } from "./postgresLayers.ts"

const tables = Layer.mergeAll(
  ArtifactTable.layer,
  EncodingTable.layer,
  ModuleTable.layer,
  ModuleTranspileTable.layer,
  RealmTable.layer,
  RealmVersionTable.layer
).pipe(Layer.provideMerge(postgres()))

collector("PostgreSQL", Layer.mergeAll(tables, realmFiles), olderInPostgres)
