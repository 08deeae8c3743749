import * as crypto from "node:crypto"

/**
 * Stands for everything that a derived artifact is made from, so that equal keys mean equal artifacts: what makes it
 * (the pipeline's fingerprint), the path in its realm, and the hash of its bytes.
 */
export const contentKey = (fingerprint: string, path: string, sourceHash: string): string => {
  const hash = crypto.createHash("sha256")
  for (const part of [fingerprint, path, sourceHash]) hash.update(`${Buffer.byteLength(part)}:${part}`)
  return hash.digest("base64url")
}
