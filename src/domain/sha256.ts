import * as crypto from "node:crypto"

/** SHA-256 in base64url: what names bytes, in entity tags and content keys. */
export const sha256 = (bytes: Uint8Array | string): string => crypto.hash("sha256", bytes, "base64url")
