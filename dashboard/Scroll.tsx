/** @jsxImportSource preact */
import type { ComponentChildren } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"

/** A table may be wider than its place: then it scrolls by itself, with the keyboard too. */
export const Scroll = ({ children, label }: { readonly children: ComponentChildren; readonly label: string }) => {
  const place = useRef<HTMLDivElement>(null)
  const [isWider, setWider] = useState(false)
  useEffect(() => {
    const element = place.current
    if (element === null) return
    const watch = new ResizeObserver(() => setWider(element.scrollWidth > element.clientWidth + 1))
    watch.observe(element)
    if (element.firstElementChild !== null) watch.observe(element.firstElementChild)
    return () => watch.disconnect()
  }, [])
  const scrolls = isWider ? { role: "region", tabIndex: 0, "aria-label": `${label}, scrolls sideways` } as const : {}
  return <div class="scroll" ref={place} {...scrolls}>{children}</div>
}
