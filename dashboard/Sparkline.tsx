/** @jsxImportSource preact */
import { percent } from "./format.ts"
import { type Bin, hitRate } from "./series.ts"

const width = 64
const height = 20

/** A hit rate over time; gaps where nothing was asked for. */
export const Sparkline = ({ bins, label }: { readonly bins: ReadonlyArray<Bin>; readonly label: string }) => {
  const rates = bins.map(hitRate)
  const known = rates.filter((rate) => rate !== undefined)
  const text = known.length === 0
    ? "nothing was asked for"
    : `from ${percent(Math.min(...known))} to ${percent(Math.max(...known))}, now ${percent(known.at(-1) ?? 0)}`
  const step = width / (bins.length - 1)
  const points = rates.flatMap((rate, index) =>
    rate === undefined ? [] : [{ x: index * step, y: 2 + (1 - rate) * (height - 4) }]
  )
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      role="img"
      aria-label={`${label}: ${text}`}
    >
      <line x1="0" x2={width} y1={height - 2} y2={height - 2} class="grid" />
      {points.length > 1 && <polyline points={points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ")} />}
      {points.slice(-1).map(({ x, y }) => <circle key="last" cx={Math.min(x, width - 2)} cy={y} r="2" />)}
    </svg>
  )
}
