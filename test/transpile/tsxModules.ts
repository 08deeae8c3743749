/** Modules as teams that use React write them, by path. */
export const tsxModules: Readonly<Record<string, string>> = {
  "components/data-table.tsx": `
    import * as React from "react"
    import { type ColumnDef, flexRender, type Row } from "@tanstack/react-table"
    import { cn } from "@/lib/cn"
    import { ChevronDown } from "lucide-react"
    import type { ReactNode } from "react"

    export interface DataTableProps<T extends object> extends React.HTMLAttributes<HTMLTableElement> {
      columns: ReadonlyArray<ColumnDef<T, unknown>>
      rows: readonly Row<T>[]
      renderEmpty?: () => ReactNode
    }

    /** It doesn't page: that's its parent's. */
    export function DataTable<T extends object>({ columns, rows, renderEmpty, className, ...rest }: DataTableProps<T>) {
      const [sorted, setSorted] = React.useState<keyof T | null>(null)
      const visible = React.useMemo(() => [...rows].sort((a, b) => (a.index ?? 0) - (b.index! as number)), [rows, sorted])
      if (!rows.length) return renderEmpty?.() ?? <p className="empty">There's nothing here / yet &mdash; {"{"}try again{"}"}</p>
      return (
        <table {...rest} className={cn("table", className)} data-n={rows.length}>
          <thead>
            <tr>{columns.map((c) => (
              <th key={c.id} onClick={() => setSorted((s) => (s === c.id ? null : (c.id as keyof T)))}>
                {/* the header */}
                {flexRender(c.header, {} as never)} <ChevronDown size={12} aria-hidden />
              </th>
            ))}</tr>
          </thead>
          <tbody>{visible.map((row) => <tr {...row.original} key={row.id}>{<td>{row.id}</td>}</tr>)}</tbody>
        </table>
      )
    }
    DataTable.displayName = "DataTable" as const`,

  "hooks/use-query.tsx": `
    import React, { createContext, use, useEffect, useRef, useState } from "react"
    import type { FC, PropsWithChildren } from "react"
    import { Client, type ClientOptions } from "../client.ts"

    export enum Status { Idle = "idle", Loading = "loading", Failed = "failed" }
    export const enum Retry { Never, Once, Always = 10 }
    type State<T> = { status: Status.Idle } | { status: Status.Loading } | { status: Status.Failed; error: unknown; last?: T }

    const ClientContext = createContext<Client | null>(null)
    export const ClientProvider: FC<PropsWithChildren<ClientOptions>> = ({ children, ...options }) => (
      <ClientContext value={new Client(options)}>{children}</ClientContext>
    )

    function useQuery<T>(key: string): State<T>
    function useQuery<T>(key: string, initial: T): Required<State<T>>
    function useQuery<T>(key: string, initial?: T): State<T> {
      const client = use(ClientContext)!
      const alive = useRef<boolean>(true)
      const [state, setState] = useState<State<T>>({ status: Status.Idle })
      useEffect(() => {
        const controller = new AbortController()
        void (async () => {
          for (let n = Retry.Never; n <= Retry.Once; n++) {
            try {
              await client.get<T>(key, { signal: controller.signal })
              break
            } catch (error: unknown) {
              if (alive.current) setState({ status: Status.Failed, error, last: initial } satisfies State<T>)
            }
          }
        })()
        return () => controller.abort()
      }, [key, client])
      return state
    }
    export { useQuery, type State }
    export default React.memo(useQuery as <T,>(key: string) => State<T>)`,

  "app/layout.tsx": `
    import "./globals.css"
    import { Inter } from "next/font/google"
    import { Nav, type NavItem } from "~/nav"
    import Footer from "~/footer"
    declare global { interface Window { analytics?: (event: string) => void } }
    const inter = Inter({ subsets: ["latin"] })
    const items = [{ href: "/", label: "Home" }, { href: "/docs", label: "Docs" }] as const satisfies readonly NavItem[]
    export const metadata = { title: \`App \${new Date().getFullYear()}\`, description: "it's" }
    export default async function Layout({ children }: { children: import("react").ReactNode }) {
      const { flags } = await import("../flags.ts")
      return <html lang="en"><body className={inter.className}>
        <Nav items={items} key="nav" {...flags}/>
        {flags.beta ? <>{children}</> : null}
        <Footer<string> year={metadata.title}>a / b // not a comment</Footer>
        <script dangerouslySetInnerHTML={{ __html: "window.analytics?.('view')" }}/>
      </body></html>
    }`,

  "forms/field.jsx": `
    import PropTypes from "prop-types"
    export const Field = ({ label, children, ...props }) => <label {...props}>{label}: {children}</label>
    Field.propTypes = { label: PropTypes.string }
    export * from "./rules.js"
    export * as masks from "./masks.js"`
}
