/** @jsxImportSource preact */
import type { ComponentChildren } from "preact"
import { Scroll } from "./Scroll.tsx"

export interface Column {
  readonly name: string
  readonly isNumber?: boolean
  /** Text of any length, which may wrap. */
  readonly isDetail?: boolean
}

export interface Row {
  readonly key: string
  /** The first names the row; the last takes the columns that are left. */
  readonly cells: ReadonlyArray<ComponentChildren>
}

interface Props {
  readonly label: string
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
}

/**
 * A table that becomes a list of cards where there is no room for it. What is laid out otherwise than as a table is none any
 * more for a screen reader, unless its roles are said.
 */
export const Table = ({ columns, label, rows }: Props) => (
  <Scroll label={label}>
    <table class="stacks" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th key={column.name} role="columnheader" scope="col" class={classOf(column)}>{column.name}</th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(({ cells, key }) => (
          <tr key={key} role="row">
            {cells.map((cell, index) => {
              const column = columns[index] ?? { name: "" }
              const span = index === cells.length - 1 ? columns.length - index : 1
              if (index === 0) return <th key={column.name} role="rowheader" scope="row">{cell}</th>
              return (
                <td
                  key={column.name}
                  role="cell"
                  colSpan={span}
                  class={classOf(column)}
                  data-label={span > 1 ? "" : column.name}
                >
                  <div>{cell}</div>
                </td>
              )
            })}
          </tr>
        ))}
      </tbody>
    </table>
  </Scroll>
)

const classOf = ({ isDetail, isNumber }: Column): string =>
  isNumber === true ? "number" : isDetail === true ? "detail" : ""
