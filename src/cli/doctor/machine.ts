import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { Effect } from "effect"
import { version } from "../../domain/version.ts"
import { systemError } from "../systemError.ts"
import { fail, type Finding, ok, warn } from "./Finding.ts"

const gibibyte = 2 ** 30

/** This process: what runs it, and what it is. */
export const runtime = (): ReadonlyArray<Finding> => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  const recent = major > 22 || (major === 22 && minor >= 19)
  return [
    ok("version", `Lockstep ${version}`),
    recent
      ? ok("node", `Node ${process.versions.node}`)
      : fail("node", `Node ${process.versions.node}`, "Lockstep needs Node 22.19 or later: install a newer one")
  ]
}

/** Whether a directory of a replica can be used: as it is there, written to, and not nearly full. */
export const directory = Effect.fnUntraced(function*(check: string, what: string, given: string) {
  const place = path.resolve(given)
  const code = yield* Effect.promise(() => tryWriting(place))
  if (code === "ENOENT") {
    return [
      warn(
        check,
        `the ${what} ${place} is not there yet`,
        "lockstep serve makes the data directory; of a realms directory, check the name"
      )
    ]
  }
  if (code !== undefined) {
    return [
      fail(
        check,
        `the ${what} ${place} cannot be written to (${code})`,
        "replicas publish into it and edit in it: give the account that runs them the right, or free the disk"
      )
    ]
  }
  return [ok(check, `the ${what} ${place} can be written to`), yield* space(check, what, place)]
})

/** The code of what went wrong. A file is written and synced, and removed again. */
const tryWriting = async (place: string): Promise<string | undefined> => {
  const probe = path.join(place, `.lockstep-doctor-${randomUUID()}`)
  try {
    const file = await fs.open(probe, "wx")
    try {
      await file.writeFile("may this be written?")
      await file.sync()
    } finally {
      await file.close()
    }
    return undefined
  } catch (error) {
    return systemError(error)?.code ?? String(error)
  } finally {
    await fs.rm(probe, { force: true }).catch(() => {})
  }
}

const space = (check: string, what: string, place: string) =>
  Effect.promise(async () => {
    const { bavail, blocks, bsize, ffree, files } = await fs.statfs(place)
    const free = bavail * bsize
    const share = blocks === 0 ? 1 : bavail / blocks
    const said = `${(free / gibibyte).toFixed(1)} GiB (${Math.round(share * 100)} %) free on the disk of the ${what}`
    const advice = "a publish copies its realm: free the disk, or let versions be collected sooner"
    if (free < gibibyte / 10) return fail(`${check}.space`, said, advice)
    if (free < gibibyte || share < 0.05) return warn(`${check}.space`, said, advice)
    if (files > 0 && ffree / files < 0.05) {
      return warn(
        `${check}.space`,
        `${said}, and ${ffree} of ${files} inodes`,
        "a publish makes a file for each of its realm: free inodes"
      )
    }
    return ok(`${check}.space`, said)
  })
