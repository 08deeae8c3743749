#!/usr/bin/env node
// Plain JavaScript that an old Node parses too, so that it can say what is wrong.
// The program runs in this process: its pid takes every signal.
import { existsSync } from "node:fs"

const [major, minor] = process.versions.node.split(".").map(Number)

if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `lockstep needs Node 22.19 or later and this is ${process.version}: install a newer Node, ` +
      `or run it from a clone, where npm ci brings one\n`
  )
  process.exit(1)
}

const built = new URL("../dist/main.js", import.meta.url)
await import(existsSync(built) ? built.href : new URL("../src/main.ts", import.meta.url).href)
