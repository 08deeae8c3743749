const whole = new Intl.NumberFormat("en")

export const count = (value: number): string => whole.format(value)

export const percent = (share: number): string => `${(Math.floor(share * 1000) / 10).toFixed(1)}\u00a0%`

/** 1 of 1, 2 replicas. */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

export const millis = (value: number): string => {
  if (value < 0.95) return "<\u00a01\u00a0ms"
  if (value < 9.95) return `${Number(value.toFixed(1))}\u00a0ms`
  if (value < 1000) return `${Math.round(value)}\u00a0ms`
  return `${Number((value / 1000).toFixed(value < 10_000 ? 2 : 1))}\u00a0s`
}

export const seconds = (value: number): string => millis(value * 1000)

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

export const bytes = (value: number): string => {
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10))
  const scaled = value / 1024 ** power
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[power]}`
}

/** Two units are enough: 3 d 4 h. */
export const duration = (value: number): string => {
  const parts: ReadonlyArray<readonly [number, string]> = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]]
  const first = parts.findIndex(([size]) => value >= size)
  if (first < 0) return "0 s"
  return parts.slice(first, first + 2).reduce<{ readonly rest: number; readonly text: ReadonlyArray<string> }>(
    ({ rest, text }, [size, unit], index) => {
      const amount = Math.floor(rest / size)
      return { rest: rest - amount * size, text: index > 0 && amount === 0 ? text : [...text, `${amount} ${unit}`] }
    },
    { rest: value, text: [] }
  ).text.join(" ")
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" })

/** Of today, as a clock shows it. */
export const time = (at: number): string => clock.format(at)

export const ago = (at: number, now: number): string => {
  const elapsed = Math.max(0, (now - at) / 1000)
  if (elapsed < 5) return "just now"
  const [text] = duration(elapsed).match(/^\d+ \w+/) ?? ["0 s"]
  return `${text} ago`
}

/** A realm's URL without the part that all of a fleet's have. */
export const shortUrl = (url: string): string => URL.canParse(url) ? new URL(url).host + new URL(url).pathname : url
