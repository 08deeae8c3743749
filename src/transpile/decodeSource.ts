import { isUtf8 } from "node:buffer"
import { CodeFault } from "./Problem.ts"

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** Text of a module, without its byte order mark. Bytes that are no UTF-8 are a fault of the code, at a line. */
export const decodeSource = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new CodeFault("is not valid UTF-8", { line: firstBadLine(bytes) })
  }
}

/** A line feed is never part of a longer UTF-8 sequence, so each line is valid or not by itself. */
const firstBadLine = (bytes: Uint8Array): number => {
  for (let line = 1, start = 0;; line++) {
    const feed = bytes.indexOf(0x0a, start)
    if (feed === -1 || !isUtf8(bytes.subarray(start, feed))) return line
    start = feed + 1
  }
}
