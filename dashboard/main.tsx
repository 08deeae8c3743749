/** @jsxImportSource preact */
import { render } from "preact"
import { App } from "./App.tsx"
import { applyTheme, storedTheme } from "./theme.ts"

applyTheme(storedTheme())
const place = document.getElementById("dashboard")
if (place !== null) render(<App />, place)
