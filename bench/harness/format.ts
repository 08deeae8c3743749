export const perSecond = (count: number) => `${Math.round(count).toLocaleString("en-US")} req/s`

export const seconds = (millis: number) => Number.isNaN(millis) ? "?" : `${(millis / 1000).toFixed(2)} s`

export const millis = (value: number) => `${value.toFixed(value < 10 ? 2 : 1)} ms`

export const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} KB`

export const readsPerSecond = (count: number) => `${Math.round(count).toLocaleString("en-US")} reads/s`
