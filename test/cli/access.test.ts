import * as fs from "node:fs"
import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { adminToken, publicUrl, securedServer, tokenOf } from "../http/securedServer.ts"
import { runCommand } from "./runCommand.ts"

it.live("commands send the token that they are given, and say what to do without one", () =>
  Effect.gen(function*() {
    const { places, url } = yield* securedServer()
    const server = ["--server", url]
    const file = path.join(places.outside, "token")
    fs.writeFileSync(file, `${adminToken}\n`)
    const without = yield* runCommand(["realms", ...server])
    assert.strictEqual(without.exitCode, 1)
    assert.match(without.stderr, /--token-file FILE or LOCKSTEP_TOKEN/)
    const created = yield* runCommand(["create", "typed", "--private", ...server], { LOCKSTEP_TOKEN: adminToken })
    assert.strictEqual(created.exitCode, 0, created.stderr)
    const realm = `${publicUrl}typed/`
    const granted = yield* runCommand(["grant", realm, "carol", "write", ...server, "--token-file", file])
    assert.match(granted.stdout, /typed\/ is private\nUSER +PERMISSION\ncarol +write/)
    const carols = yield* tokenOf("carol")
    // What is said on the command line counts for more than what is set.
    const listed = yield* runCommand(["realms", ...server, "--token", carols], { LOCKSTEP_TOKEN: "another" })
    assert.match(listed.stdout, /typed\/ +source, private/)
    const revoked = yield* runCommand(["revoke", realm, "carol", ...server, "--token-file", file])
    assert.match(revoked.stdout, /no user has permission/)
    const opened = yield* runCommand(["permissions", realm, "--visibility", "public", ...server], {
      LOCKSTEP_TOKEN_FILE: file
    })
    assert.match(opened.stdout, /typed\/ is public/)
    const refused = yield* runCommand(["permissions", realm, ...server, "--token", carols])
    assert.strictEqual(refused.exitCode, 1)
    assert.match(refused.stderr, /That is not allowed/)
    const unread = yield* runCommand(["realms", ...server, "--token-file", path.join(places.outside, "none")])
    assert.strictEqual(unread.exitCode, 1)
    assert.match(unread.stderr, /cannot be read/)
  }).pipe(Effect.scoped))

it.live(
  "an address that others can reach is not listened on without access, and what is too short is not taken",
  () =>
    Effect.gen(function*() {
      const secret = "a secret of thirty-two bytes or more"
      const refusals: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [["--host", "0.0.0.0"], 1, /nothing says who may do what: set an admin token.*--token-file.*127\.0\.0\.1/],
        [["--host", "::"], 1, /nothing says who may do what/],
        [["--host", "192.168.1.4"], 1, /nothing says who may do what/],
        [["--token", "short"], 1, /16 to 1,024.*openssl/],
        [["--token", "with spaces in between"], 1, /16 to 1,024/],
        [["--jwt-secret", "short"], 1, /32 bytes.*openssl/],
        [["--jwt-secret", secret, "--jwks-url", "https://login.test/keys", "--jwt-audience", "x"], 1, /not both/],
        [["--token-file", "/no/such/file"], 1, /cannot be read/],
        [["--cors-origin", "*"], 2, /cors-origin/],
        [["--cors-origin", "https://studio.test/path"], 2, /cors-origin/],
        [["--jwks-url", "file:///etc/passwd"], 2, /jwks-url/],
        [["--rate-limit", "0"], 2, /rate-limit/]
      ]
      for (const [args, code, why] of refusals) {
        const refused = yield* runCommand(["serve", "--port", "0", ...args])
        assert.strictEqual(refused.exitCode, code, args.join(" "))
        assert.match(refused.stderr, why, args.join(" "))
      }
    })
)
