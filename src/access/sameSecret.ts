import * as crypto from "node:crypto"

/** Of this process alone: who measures how long a comparison takes learns nothing about a secret's bytes. */
const key = crypto.randomBytes(32)

const digest = (text: string) => crypto.createHmac("sha256", key).update(text).digest()

/** Compares a secret with what somebody claims it to be, in a time that depends on neither's content. */
export const makeSameSecret = (secret: string): (claimed: string) => boolean => {
  const expected = digest(secret)
  return (claimed) => crypto.timingSafeEqual(digest(claimed), expected)
}
