type Attributes = Readonly<Record<string, string | number>>

/** Makes an SVG element. */
export const shape = (name: string, attributes: Attributes, children: ReadonlyArray<SVGElement> = []) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name) as SVGElement
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value))
  element.append(...children)
  return element
}
