import { useEffect, useRef, useState } from "preact/hooks"
import type * as Api from "../src/api/Fleet.ts"

export type Fleet = typeof Api.Fleet.Type
export type Member = typeof Api.Member.Type
export type Realm = typeof Api.FleetRealm.Type
export type Job = NonNullable<Fleet["jobs"]>[number]
export type FleetEvent = typeof Api.Event.Type
export type History = typeof Api.ModuleHistory.Type
export type Histogram = typeof Api.Histogram.Type
export type Sample = typeof Api.Sample.Type

/** The endpoint wants a token, or another one. */
export class Unauthorized extends Error {}

const tokenKey = "lockstep-token"

/** For this tab alone, and gone with it. */
export const token = {
  get: (): string | null => sessionStorage.getItem(tokenKey),
  set: (value: string): void => sessionStorage.setItem(tokenKey, value),
  forget: (): void => sessionStorage.removeItem(tokenKey)
}

/** Asks an endpoint of the replica that served the page. */
export const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
  const held = token.get()
  const headers = { ...init.headers as Record<string, string>, ...held !== null && { authorization: `Bearer ${held}` } }
  const response = await fetch(path, { ...init, headers, cache: "no-store" })
  if (response.status === 401 || response.status === 403) throw new Unauthorized(await reasonOf(response))
  if (!response.ok) throw new Error(await reasonOf(response))
  return response
}

const reasonOf = async (response: Response): Promise<string> => {
  const problem = await response.json().catch(() => ({})) as { readonly title?: string; readonly detail?: string }
  return problem.detail ?? problem.title ?? `the server answered ${response.status}`
}

export const askJson = async <A>(path: string, signal?: AbortSignal): Promise<A> =>
  await (await ask(path, signal === undefined ? {} : { signal })).json() as A

const pollMillis = 2000

export interface Polled {
  readonly fleet: Fleet | undefined
  /** Why the last round failed, if it did; what is shown is older then. */
  readonly failure: string | undefined
  readonly isUnauthorized: boolean
}

/** The fleet, asked for every two seconds while the page is seen. Questions do not overlap. */
export const useFleet = (match: string, isPaused: boolean, credentials: number): Polled => {
  const [polled, setPolled] = useState<Polled>({ fleet: undefined, failure: undefined, isUnauthorized: false })
  const last = useRef<Fleet>(undefined)
  useEffect(() => {
    const stop = new AbortController()
    const poll = async () => {
      const path = `_fleet?limit=100&match=${encodeURIComponent(match)}`
      while (!stop.signal.aborted) {
        if (document.visibilityState === "visible") {
          try {
            const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)])
            last.current = await askJson<Fleet>(path, signal)
            setPolled({ fleet: last.current, failure: undefined, isUnauthorized: false })
          } catch (error) {
            if (stop.signal.aborted) return
            const isUnauthorized = error instanceof Unauthorized
            setPolled({ fleet: isUnauthorized ? undefined : last.current, failure: String(error), isUnauthorized })
            // Until somebody gives a token there is no use in asking again.
            if (isUnauthorized) return
          }
        }
        if (isPaused && last.current !== undefined) return
        await pause(pollMillis, stop.signal)
      }
    }
    void poll()
    return () => stop.abort()
  }, [match, isPaused, credentials])
  return polled
}

/** Ends early when aborted. */
export const pause = (millis: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, millis)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
