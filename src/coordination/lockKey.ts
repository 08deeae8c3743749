import * as crypto from "node:crypto"

/** PostgreSQL's advisory locks are keyed by a signed 64-bit integer: the first 8 bytes of the key's SHA-256, in decimal. */
export const lockKey = (key: string): string => crypto.hash("sha256", key, "buffer").readBigInt64BE(0).toString()
