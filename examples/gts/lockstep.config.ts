import { defineConfig } from "lockstep"

export default defineConfig({
  realmsDir: "realms",
  // The packages that it needs are this directory's: see package.json.
  preset: "ember"
})
