export type Theme = "system" | "light" | "dark"

const key = "lockstep-theme"

/** What was chosen before, on this machine; the system's choice else. */
export const storedTheme = (): Theme => {
  const stored = localStorage.getItem(key)
  return stored === "light" || stored === "dark" ? stored : "system"
}

export const applyTheme = (theme: Theme): void => {
  if (theme === "system") {
    delete document.documentElement.dataset["theme"]
    localStorage.removeItem(key)
  } else {
    document.documentElement.dataset["theme"] = theme
    localStorage.setItem(key, theme)
  }
}
