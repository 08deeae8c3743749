import { Layer } from "effect"
import { MemoryBus } from "../../src/coordination/MemoryBus.ts"
import { Sessions } from "../../src/coordination/Sessions.ts"
import { FleetSecretTable } from "../../src/store/FleetSecretTable.ts"
import { PermissionTable } from "../../src/store/PermissionTable.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { ArtifactTable } from "../../src/store/ArtifactTable.ts"
import { EncodingTable } from "../../src/store/EncodingTable.ts"
import { ModuleTable } from "../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { RealmFileTable } from "../../src/store/RealmFileTable.ts"
import { RealmIndexTable } from "../../src/store/RealmIndexTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { WriteIntentTable } from "../../src/store/WriteIntentTable.ts"
import { artifactTable } from "../contract/artifactTable.ts"
import { cacheTable } from "../contract/cacheTable.ts"
import { definitions, transpiled } from "../contract/cacheTables.ts"
import { encodingTable } from "../contract/encodingTable.ts"
import { permissionTable } from "../contract/permissionTable.ts"
import { jobTable } from "../contract/jobTable.ts"
import { moduleTable } from "../contract/moduleTable.ts"
import { moduleTranspileTable } from "../contract/moduleTranspileTable.ts"
import { realmFileTable } from "../contract/realmFileTable.ts"
import { realmIndexTable } from "../contract/realmIndexTable.ts"
import { realmTable } from "../contract/realmTable.ts"
import { realmVersionTable } from "../contract/realmVersionTable.ts"
import { replicaTable } from "../contract/replicaTable.ts"
import { sessions } from "../contract/sessions.ts"
import { transaction } from "../contract/transaction.ts"
import { writeIntentTable } from "../contract/writeIntentTable.ts"
import { olderInMemory } from "./olderVersions.ts"

const tables = Layer.mergeAll(
  JobTable.layerMemory,
  ArtifactTable.layerMemory,
  EncodingTable.layerMemory,
  FleetSecretTable.layerMemory,
  PermissionTable.layerMemory,
  ModuleTable.layerMemory,
  ModuleTranspileTable.layerMemory,
  RealmFileTable.layerMemory,
  RealmIndexTable.layerMemory,
  RealmTable.layerMemory,
  RealmVersionTable.layerMemory,
  ReplicaTable.layerMemory,
  Sessions.layerMemory,
  Transaction.layerMemory,
  WriteIntentTable.layerMemory
).pipe(Layer.provideMerge(Layer.mergeAll(MemoryBus.layer, MemoryDatabase.layer)))

realmTable("memory", tables)
cacheTable("ModuleTranspileTable on memory", tables, transpiled)
cacheTable("ModuleTable on memory", tables, definitions)
moduleTable("memory", tables)
moduleTranspileTable("memory", tables)
realmVersionTable("memory", tables, olderInMemory)
artifactTable("memory", tables)
encodingTable("memory", tables)
jobTable("memory", tables)
realmIndexTable("memory", tables)
replicaTable("memory", tables)
sessions("memory", tables)
transaction("memory", tables)
writeIntentTable("memory", tables)
realmFileTable("memory", tables)
permissionTable("memory", tables)
