// A JSX runtime of one page: an element is a DOM node, a component is a function that returns one.

export type Child = Node | string | number | boolean | null | undefined | ReadonlyArray<Child>

type Props = Readonly<Record<string, unknown>> & { readonly children?: Child }

export declare namespace JSX {
  type Element = Node
  interface ElementChildrenAttribute {
    children: unknown
  }
  interface IntrinsicElements {
    [name: string]: Props
  }
}

const append = (parent: Node, child: Child): void => {
  if (Array.isArray(child)) child.forEach((each) => append(parent, each))
  else if (child instanceof Node) parent.appendChild(child)
  else if (typeof child === "string" || typeof child === "number") parent.appendChild(new Text(String(child)))
}

const element = (name: string, { children, ...attributes }: Props) => {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key.slice(2).toLowerCase(), value as EventListener)
    else node.setAttribute(key, String(value))
  }
  append(node, children)
  return node
}

export const jsx = <P extends Props>(type: string | ((props: P) => Node), props: P): Node =>
  typeof type === "string" ? element(type, props) : type(props)

export { jsx as jsxs }

export const Fragment = ({ children }: Props): Node => {
  const fragment = document.createDocumentFragment()
  append(fragment, children)
  return fragment
}
