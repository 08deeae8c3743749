import { assert } from "@effect/vitest"
import type { Answer } from "../../support/httpClient.ts"

/** Fails with the whole exchange when the status is another. */
export const expectStatus = (answer: Answer, status: number): Answer => {
  assert.strictEqual(answer.status, status, answer.shown)
  return answer
}

/** An RFC 9457 answer that says what is wrong, and that no cache may keep. */
export const expectProblem = (answer: Answer, status: number): Record<string, unknown> => {
  expectStatus(answer, status)
  assert.match(answer.headers["content-type"] ?? "", /^application\/problem\+json\b/, answer.shown)
  assert.include(answer.headers["cache-control"] ?? "", "no-store", answer.shown)
  const { detail, title, type } = answer.json
  for (const member of [type, title, detail]) {
    assert.isString(member, answer.shown)
    assert.isNotEmpty(member, answer.shown)
  }
  if (status === 503) assert.match(answer.headers["retry-after"] ?? "", /^\d+$/, answer.shown)
  return answer.json
}

/** The realm's generation in the header. */
export const generationOf = (answer: Answer): number => {
  const generation = Number(answer.headers["x-lockstep-generation"])
  assert.isTrue(Number.isSafeInteger(generation), answer.shown)
  return generation
}

/** What the answer says of where its bytes came from. */
export const cacheOf = (answer: Answer): string => String(answer.headers["x-lockstep-cache"])
