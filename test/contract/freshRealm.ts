import { randomUUID } from "node:crypto"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"

/** A realm URL that no other test of a shared database has. */
export const freshRealm = (): RealmUrl => `http://test.example/${randomUUID()}/` as RealmUrl
