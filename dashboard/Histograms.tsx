/** @jsxImportSource preact */
import type { Fleet } from "./data.ts"
import { count, plural, seconds } from "./format.ts"
import { type Distribution, distributionOf, quantile } from "./series.ts"

export const Histograms = ({ fleet }: { readonly fleet: Fleet }) => (
  <div class="pair">
    <Chart
      id="barrier"
      title="Publish barrier"
      explanation="How long publishes waited until no replica could answer from before them."
      of={distributionOf(fleet, "publishBarrier")}
      what={["wait", "waits"]}
    />
    <Chart
      id="delay"
      title="Staleness"
      explanation="From a commit until another replica was known to have applied it, at the latest."
      of={distributionOf(fleet, "invalidationDelay")}
      what={["acknowledgement", "acknowledgements"]}
    />
  </div>
)

/** Bounds that have room for a label. */
const labelled = new Set([0.001, 0.01, 0.1, 1, 10])

const height = 96
const slot = 20

interface ChartProps {
  readonly id: string
  readonly title: string
  readonly explanation: string
  readonly of: Distribution
  readonly what: readonly [one: string, many: string]
}

const Chart = ({ explanation, id, of, title, what }: ChartProps) => {
  const highest = Math.max(1, ...of.buckets.map((bucket) => bucket.count))
  const summary = of.count === 0 ? `No ${what[0]} yet.` : `${plural(of.count, ...what)}: ${quantilesOf(of)}.`
  return (
    <section aria-labelledby={`${id}-heading`}>
      <h2 id={`${id}-heading`}>{title}</h2>
      <p class="explanation">{explanation}</p>
      <figure>
        <div class="plot">
          <span class="scale" aria-hidden="true">{count(highest)}</span>
          <svg
            class="short"
            viewBox={`0 0 ${of.buckets.length * slot} ${height}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={`${title}. ${summary}`}
          >
            <line class="grid" x1="0" x2={of.buckets.length * slot} y1="0.5" y2="0.5" />
            <line class="grid" x1="0" x2={of.buckets.length * slot} y1={height / 2} y2={height / 2} />
            {of.buckets.map((bucket, index) => {
              const size = bucket.count === 0 ? 0 : Math.max(2, bucket.count / highest * (height - 4))
              return (
                <rect
                  key={bucket.from}
                  class="memory"
                  x={index * slot + 2}
                  y={height - size}
                  width={slot - 4}
                  height={size}
                />
              )
            })}
            <line class="axis" x1="0" x2={of.buckets.length * slot} y1={height - 0.5} y2={height - 0.5} />
          </svg>
          <p class="bounds" aria-hidden="true">
            {of.buckets.map(({ from, to }) => (
              <span key={from}>{to !== null && labelled.has(to) ? seconds(to) : ""}</span>
            ))}
          </p>
        </div>
        <figcaption>
          <p class="quantiles">{of.count === 0 ? summary : `${plural(of.count, ...what)}: ${quantilesOf(of)}`}</p>
          <details>
            <summary>As a table</summary>
            <table class="narrow">
              <thead>
                <tr>
                  <th scope="col">Took</th>
                  <th scope="col" class="number">{what[1]}</th>
                </tr>
              </thead>
              <tbody>
                {of.buckets.map(({ count: many, from, to }) => (
                  <tr key={from}>
                    <th scope="row">{to === null ? `more than ${seconds(from)}` : `up to ${seconds(to)}`}</th>
                    <td class="number">{count(many)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        </figcaption>
      </figure>
    </section>
  )
}

const quantilesOf = (of: Distribution): string =>
  [0.5, 0.95, 0.99].map((share) => {
    const bound = quantile(of, share)
    return `${share * 100}\u00a0% ${bound === null ? "over 10\u00a0s" : `≤\u00a0${seconds(bound ?? 0)}`}`
  }).join(", ")
