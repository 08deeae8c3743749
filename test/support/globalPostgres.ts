import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { EmbeddedPostgres } from "../../src/postgres/EmbeddedPostgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** A PostgreSQL server for the whole run; `temporaryDatabase` gives each test its own database in it. */
    readonly databaseUrl: string
  }
}

/** Starts one server for the run, or takes the one that LOCKSTEP_TEST_DATABASE_URL names (a superuser's URL). */
export default async function setup(project: TestProject) {
  const given = process.env["LOCKSTEP_TEST_DATABASE_URL"]
  if (given !== undefined && given !== "") return project.provide("databaseUrl", given)

  const dataDir = await mkdtemp(join(tmpdir(), "lockstep-test-"))
  // The server's account must be able to enter it when root runs the tests.
  await chmod(dataDir, 0o755)
  const scope = Scope.makeUnsafe()
  const teardown = async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await rm(dataDir, { recursive: true, force: true })
  }
  try {
    const context = await Effect.runPromise(Layer.buildWithScope(
      EmbeddedPostgres.layer({
        dataDir,
        settings: { fsync: "off", full_page_writes: "off" }
      }),
      scope
    ))
    const { url } = await Effect.runPromise(Effect.provide(EmbeddedPostgres, context))
    project.provide("databaseUrl", Redacted.value(url))
  } catch (error) {
    await teardown()
    throw error
  }
  return teardown
}
