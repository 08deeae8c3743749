/** @jsxImportSource preact */
import type { Fleet } from "./data.ts"
import { count, percent, plural, time } from "./format.ts"
import { type Bin, binsOf, type Origin, origins, sum, total } from "./series.ts"

const names: Record<Origin, string> = {
  memory: "Memory",
  joined: "Another's run",
  shared: "Shared cache",
  transpiled: "Transpiled"
}

const height = 120
const slot = 10
const bar = 8

/** Where modules came from: what the hit rate is made of. */
export const Origins = ({ fleet }: { readonly fleet: Fleet }) => {
  const bins = binsOf(fleet.members, fleet.at)
  const whole = sum(bins)
  const highest = Math.max(1, ...bins.map(total))
  const summary = total(whole) === 0
    ? "Nothing was asked for in the last 15 minutes."
    : `Of ${plural(total(whole), "module")} in the last 15 minutes: ` +
      origins.map((origin) => `${names[origin].toLowerCase()} ${percent(whole[origin] / total(whole))}`).join(", ") +
      "."
  return (
    <section aria-labelledby="origins-heading">
      <h2 id="origins-heading">Where modules came from</h2>
      <figure>
        <div class="plot">
          <span class="scale" aria-hidden="true">{count(highest)} in 15 s</span>
          <svg
            viewBox={`0 0 ${bins.length * slot} ${height}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={summary}
          >
            <Patterns />
            <line class="grid" x1="0" x2={bins.length * slot} y1="0.5" y2="0.5" />
            <line class="grid" x1="0" x2={bins.length * slot} y1={height / 2} y2={height / 2} />
            {bins.map((bin, index) => <Stack key={bin.at} bin={bin} x={index * slot} highest={highest} />)}
            <line class="axis" x1="0" x2={bins.length * slot} y1={height - 0.5} y2={height - 0.5} />
          </svg>
          <p class="ticks" aria-hidden="true">
            <span>15 min ago</span> <span>10</span> <span>5</span> <span>now</span>
          </p>
        </div>
        <figcaption>
          <ul class="legend">
            {origins.map((origin) => (
              <li key={origin}>
                <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
                  <rect class={origin} width="12" height="12" rx="2" />
                </svg>
                {names[origin]} <strong>{count(whole[origin])}</strong>
              </li>
            ))}
          </ul>
          <details>
            <summary>As a table</summary>
            <Figures bins={bins.filter((bin) => total(bin) > 0)} />
          </details>
        </figcaption>
      </figure>
    </section>
  )
}

const Stack = ({ bin, highest, x }: { readonly bin: Bin; readonly highest: number; readonly x: number }) => {
  let y = height
  return (
    <g>
      {origins.map((origin) => {
        const size = bin[origin] === 0 ? 0 : Math.max(1.5, bin[origin] / highest * (height - 4))
        y -= size
        return size === 0
          ? null
          : <rect key={origin} class={origin} x={x + (slot - bar) / 2} y={y} width={bar} height={size} />
      })}
    </g>
  )
}

/** Textures beside colours: dots for what was shared, stripes for what was made. */
const Patterns = () => (
  <defs>
    <pattern id="dots" width="4" height="4" patternUnits="userSpaceOnUse">
      <rect class="ground shared-ground" width="4" height="4" />
      <circle class="ink" cx="2" cy="2" r="0.8" />
    </pattern>
    <pattern id="stripes" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <rect class="ground transpiled-ground" width="4" height="4" />
      <rect class="ink" width="1.3" height="4" />
    </pattern>
  </defs>
)

const Figures = ({ bins }: { readonly bins: ReadonlyArray<Bin> }) =>
  bins.length === 0 ? <p class="quiet">Nothing was asked for.</p> : (
    <table class="narrow">
      <thead>
        <tr>
          <th scope="col">Until</th>
          {origins.map((origin) => <th key={origin} scope="col" class="number">{names[origin]}</th>)}
        </tr>
      </thead>
      <tbody>
        {bins.toReversed().map((bin) => (
          <tr key={bin.at}>
            <th scope="row">{time(bin.at)}</th>
            {origins.map((origin) => <td key={origin} class="number">{count(bin[origin])}</td>)}
          </tr>
        ))}
      </tbody>
    </table>
  )
