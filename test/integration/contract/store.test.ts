import { Layer } from "effect"
import { Sessions } from "../../../src/coordination/Sessions.ts"
import { FleetSecretTable } from "../../../src/store/FleetSecretTable.ts"
import { PermissionTable } from "../../../src/store/PermissionTable.ts"
import { JobTable } from "../../../src/store/JobTable.ts"
import { ArtifactTable } from "../../../src/store/ArtifactTable.ts"
import { EncodingTable } from "../../../src/store/EncodingTable.ts"
import { ModuleTable } from "../../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../../src/store/ModuleTranspileTable.ts"
import { RealmFileTable } from "../../../src/store/RealmFileTable.ts"
import { RealmIndexTable } from "../../../src/store/RealmIndexTable.ts"
import { RealmTable } from "../../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../../src/store/RealmVersionTable.ts"
import { ReplicaTable } from "../../../src/store/ReplicaTable.ts"
import { Transaction } from "../../../src/store/Transaction.ts"
import { WriteIntentTable } from "../../../src/store/WriteIntentTable.ts"
import { artifactTable } from "../../contract/artifactTable.ts"
import { cacheTable } from "../../contract/cacheTable.ts"
import { definitions, transpiled } from "../../contract/cacheTables.ts"
import { encodingTable } from "../../contract/encodingTable.ts"
import { permissionTable } from "../../contract/permissionTable.ts"
import { jobTable } from "../../contract/jobTable.ts"
import { moduleTable } from "../../contract/moduleTable.ts"
import { moduleTranspileTable } from "../../contract/moduleTranspileTable.ts"
import { realmFileTable } from "../../contract/realmFileTable.ts"
import { realmIndexTable } from "../../contract/realmIndexTable.ts"
import { realmTable } from "../../contract/realmTable.ts"
import { realmVersionTable } from "../../contract/realmVersionTable.ts"
import { replicaTable } from "../../contract/replicaTable.ts"
import { sessions } from "../../contract/sessions.ts"
import { transaction } from "../../contract/transaction.ts"
import { writeIntentTable } from "../../contract/writeIntentTable.ts"
import { olderInPostgres } from "../../store/olderVersions.ts"
import { postgresWithSessions } from "./postgresLayers.ts"

const tables = Layer.mergeAll(
  JobTable.layer,
  ArtifactTable.layer,
  EncodingTable.layer,
  FleetSecretTable.layer,
  PermissionTable.layer,
  ModuleTable.layer,
  ModuleTranspileTable.layer,
  RealmFileTable.layer,
  RealmIndexTable.layer,
  RealmTable.layer,
  RealmVersionTable.layer,
  ReplicaTable.layer,
  Sessions.layer,
  Transaction.layer,
  WriteIntentTable.layer
).pipe(Layer.provideMerge(postgresWithSessions()))

realmTable("PostgreSQL", tables)
cacheTable("ModuleTranspileTable on PostgreSQL", tables, transpiled)
cacheTable("ModuleTable on PostgreSQL", tables, definitions)
moduleTable("PostgreSQL", tables)
moduleTranspileTable("PostgreSQL", tables)
realmVersionTable("PostgreSQL", tables, olderInPostgres)
artifactTable("PostgreSQL", tables)
encodingTable("PostgreSQL", tables)
jobTable("PostgreSQL", tables)
realmIndexTable("PostgreSQL", tables)
replicaTable("PostgreSQL", tables)
sessions("PostgreSQL", tables)
transaction("PostgreSQL", tables)
writeIntentTable("PostgreSQL", tables)
realmFileTable("PostgreSQL", tables)
permissionTable("PostgreSQL", tables)
