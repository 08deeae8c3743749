import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** They take a minute, and would be alone on the machine if they came last: Vitest takes the largest files first. */
const longest = ["reindex/chromium.test.ts", "transpile/effectSource.test.ts"]

class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const isLong = ({ moduleId }: TestSpecification) => longest.some((name) => moduleId.endsWith(`test/${name}`))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

// One project after the other: real processes and a thousand simulations do not disturb tests that have a deadline.
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        // The examples import what their reader would install.
        resolve: { alias: { lockstep: fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
        test: {
          name: "unit",
          include: ["test/**/*.test.ts", "examples/embed/**/*.test.ts"],
          exclude: ["test/integration/**", "test/simulation/**"],
          sequence: { concurrent: true, groupOrder: 0 },
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 180_000
        }
      },
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          sequence: { concurrent: false, groupOrder: 1 },
          fileParallelism: false,
          testTimeout: 180_000
        }
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          sequence: { concurrent: false, groupOrder: 2 },
          // Most of the time they wait for processes to start and end.
          maxWorkers: 2,
          globalSetup: ["test/support/globalPostgres.ts"],
          testTimeout: 300_000,
          hookTimeout: 300_000
        }
      }
    ]
  }
})
