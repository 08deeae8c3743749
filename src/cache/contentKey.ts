import { sha256 } from "../domain/sha256.ts"

/**
 * Stands for everything that a derived artifact is made from, so that equal keys mean equal artifacts: what makes it
 * (the pipeline's fingerprint), the path in its realm, and the hash of its bytes.
 */
export const contentKey = (fingerprint: string, path: string, sourceHash: string): string =>
  sha256([fingerprint, path, sourceHash].map((part) => `${Buffer.byteLength(part)}:${part}`).join(""))
