import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// One project after the other: real processes and a thousand simulations do not disturb tests that have a deadline.
export default defineConfig({
  test: {
    projects: [
      {
        // The examples import what their reader would install.
        resolve: { alias: { lockstep: fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
        test: {
          name: "unit",
          include: ["test/**/*.test.ts", "examples/embed/**/*.test.ts"],
          exclude: ["test/integration/**", "test/simulation/**"],
          sequence: { concurrent: true, groupOrder: 0 },
          testTimeout: 30_000
        }
      },
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          sequence: { concurrent: false, groupOrder: 1 },
          fileParallelism: false
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
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      }
    ]
  }
})
