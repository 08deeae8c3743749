import { ByteSize, Duration, Option, Result } from "effect"
import { parse, type RealmUrl } from "../domain/RealmUrl.ts"

const shortUnits: { readonly [unit: string]: Duration.Unit } = {
  ms: "millis",
  s: "seconds",
  m: "minutes",
  min: "minutes",
  h: "hours",
  d: "days"
}

const longest = Duration.days(1)

/** `3s`, `500ms`, `1.5m` or `3 seconds`: more than nothing and at most a day. */
export const parseDuration = (text: string): Option.Option<Duration.Duration> => {
  const [, amount = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text.trim()) ?? []
  return Duration.fromInput(`${amount} ${shortUnits[unit] ?? unit}` as Duration.Input).pipe(
    Option.filter((duration) => Duration.isGreaterThan(duration, Duration.zero)),
    Option.filter((duration) => Duration.isLessThanOrEqualTo(duration, longest))
  )
}

const smallest = 1024

/** `256MiB`, `1.5 GB`, or a bare number of bytes: at least 1 KiB. */
export const parseSize = (text: string): Option.Option<number> =>
  (/^\d+$/.test(text.trim()) ? Option.some(Number(text)) : Option.flatMap(ByteSize.fromString(text), ByteSize.toNumber))
    .pipe(Option.filter((bytes) => Number.isSafeInteger(bytes) && bytes >= smallest))

export const parsePort = (text: string): Option.Option<number> =>
  /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Option.some(Number(text)) : Option.none()

/** The base of realm URLs; the slash at its end may be left out. */
export const parseBaseUrl = (text: string): Option.Option<RealmUrl> =>
  Result.getSuccess(Result.orElse(parse(text), () => parse(`${text}/`)))

/** An `http` or `https` URL to send requests to, without a slash at its end. */
export const parseServerUrl = (text: string): Option.Option<string> =>
  Option.map(parseBaseUrl(text), (url) => url.replace(/\/$/, ""))

/** Several of them, with commas between. An empty text is none. */
export const parseServerUrls = (text: string): Option.Option<ReadonlyArray<string>> =>
  Option.all(text.split(",").map((each) => each.trim()).filter((each) => each !== "").map(parseServerUrl))

/** An absolute `http` or `https` URL, as it was written. */
export const parseUrl = (text: string): Option.Option<string> =>
  URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? Option.some(text) : Option.none()

/** The origin of pages, as browsers send it: `https://studio.example`. */
export const parseOrigin = (text: string): Option.Option<string> =>
  URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text.replace(/\/$/, "")
    ? Option.some(new URL(text).origin)
    : Option.none()

/** `200`, or `200/1000`: requests a second, and how many at once after a rest; ten seconds' worth by default. `off` is none. */
export const parseRate = (
  text: string
): Option.Option<{ readonly perSecond: number; readonly burst: number } | undefined> => {
  if (text === "off") return Option.some(undefined)
  const [, rate = "", burst] = /^(\d{1,7}(?:\.\d+)?)(?:\/(\d{1,8}))?$/.exec(text) ?? []
  const perSecond = Number(rate)
  if (rate === "" || perSecond <= 0) return Option.none()
  return Option.some({
    perSecond,
    burst: burst === undefined ? Math.max(1, Math.ceil(perSecond * 10)) : Math.max(1, Number(burst))
  })
}
