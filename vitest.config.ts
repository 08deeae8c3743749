import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// Real processes have the machine to themselves: their tests have deadlines. Simulations have a clock of their own, and
// disturb nobody who shares the machine with them.
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
          maxWorkers: 2,
          testTimeout: 30_000
        }
      },
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          sequence: { concurrent: false, groupOrder: 0 },
          maxWorkers: 2
        }
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          sequence: { concurrent: false, groupOrder: 1 },
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
