import type { types as t } from "@babel/core"
import type { ClassMember, ClassShape, WrittenDecorator } from "./ModuleAnalysis.ts"
import { summaryOf } from "./summary.ts"
import { bare, calleeOf, type Bindings, refOf, textOf } from "./writtenRefs.ts"

/** What a class says of itself: what it extends, and its members. */
export const classShape = (node: t.Class, code: string, bindings: Bindings): ClassShape => {
  const superClass = node.superClass == null ? undefined : superClassOf(node.superClass, code, bindings)
  return { ...(superClass && { superClass }), members: membersOf(node.body.body, code, bindings) }
}

const superClassOf = (node: t.Expression, code: string, bindings: Bindings): ClassShape["superClass"] => {
  const line = node.loc?.start.line ?? 1
  const at = { text: sourceOf(bare(node), code), line, column: (node.loc?.start.column ?? 0) + 1 }
  const ref = refOf(node, bindings)
  if (ref !== undefined) return { ...at, ref }
  const callee = calleeOf(node)
  const called = callee && refOf(callee, bindings)
  return { ...at, ...(called && { ref: called, called: true }) }
}

const sourceOf = (node: t.Node, code: string): string => {
  const text = code.slice(node.start ?? 0, node.end ?? 0).replace(/\s+/g, " ")
  return text.length <= 200 ? text : `${text.slice(0, 199).toWellFormed()}…`
}

type BodyNode = t.ClassBody["body"][number]

const membersOf = (body: ReadonlyArray<BodyNode>, code: string, bindings: Bindings): ReadonlyArray<ClassMember> => {
  const members = new Map<string, ClassMember>()
  const add = (member: ClassMember) => {
    const key = `${member.static} ${member.name}`
    const known = members.get(key)
    members.set(key, known === undefined ? member : merged(known, member))
  }
  for (const node of body) {
    const member = memberOf(node, code, bindings)
    if (member === undefined) continue
    add(member)
    if (member.kind === "constructor" && "params" in node) parameterProperties(node.params).forEach(add)
  }
  return [...members.values()]
}

/** Overloads are one member, and so are a getter and its setter; otherwise the last stays, as at run time. */
const merged = (known: ClassMember, next: ClassMember): ClassMember => {
  const kinds = new Set([known.kind, next.kind])
  const kind = kinds.has("getter") && kinds.has("setter") ? "accessor" : next.kind
  return known.kind === next.kind || kind === "accessor" ? { ...next, ...known, kind } : next
}

const memberOf = (node: BodyNode, code: string, bindings: Bindings): ClassMember | undefined => {
  switch (node.type) {
    case "ClassMethod":
    case "TSDeclareMethod": {
      const kind = node.kind === "get" ? "getter" : node.kind === "set" ? "setter" : node.kind
      return { ...named(node, code, bindings), kind }
    }
    case "ClassProperty":
    case "ClassAccessorProperty": {
      const kind = node.type === "ClassProperty" ? "field" : "accessor"
      const call = node.value == null ? undefined : initialCall(node.value, bindings)
      // A private name is nobody else's.
      if (node.key.type === "PrivateName") return undefined
      return { ...named(node, code, bindings), kind, ...(call && { call }) }
    }
    default:
      return undefined
  }
}

type Named = t.ClassMethod | t.TSDeclareMethod | t.ClassProperty | t.ClassAccessorProperty

const named = (node: Named, code: string, bindings: Bindings): Omit<ClassMember, "kind"> => {
  const written = ("decorators" in node ? node.decorators : undefined) ?? []
  const summary = summaryOf(node, written[0])
  const decorators = written.map((each) => decoratorOf(each, code, bindings))
  return {
    name: keyOf(node, code),
    static: node.static === true,
    line: node.key.loc?.start.line ?? 1,
    ...(summary !== undefined && { summary }),
    ...visibilityOf(node.accessibility),
    ...(decorators.length > 0 && { decorators })
  }
}

const visibilityOf = (accessibility: t.ClassMethod["accessibility"]) =>
  accessibility === "private" || accessibility === "protected" ? { visibility: accessibility } : {}

const keyOf = ({ computed, key }: Named, code: string): string => {
  if (key.type === "StringLiteral") return key.value
  if (key.type === "NumericLiteral") return String(key.value)
  if (key.type === "BigIntLiteral") return String(key.value)
  return !computed && key.type === "Identifier" ? key.name : `[${sourceOf(key, code)}]`
}

const decoratorOf = ({ expression }: t.Decorator, code: string, bindings: Bindings): WrittenDecorator => {
  const target = calleeOf(expression) ?? expression
  const ref = refOf(target, bindings)
  return { name: textOf(target) ?? sourceOf(target, code), ...(ref && { ref }) }
}

const initialCall = (value: t.Node, bindings: Bindings): ClassMember["call"] => {
  const call = bare(value)
  if (call.type !== "CallExpression") return undefined
  const name = textOf(call.callee)
  if (name === undefined) return undefined
  const ref = refOf(call.callee, bindings)
  const [first] = call.arguments
  const argument = first && refOf(returned(first), bindings)
  return { name, ...(ref && { ref }), ...(argument && { argument }) }
}

/** `() => Person` stands for `Person`: it is how classes name each other before they exist. */
const returned = (node: t.Node): t.Node => {
  const each = bare(node)
  return each.type === "ArrowFunctionExpression" && each.body.type !== "BlockStatement" ? each.body : each
}

/** `constructor(readonly name: string)` declares a field. */
const parameterProperties = (params: t.ClassMethod["params"]): ReadonlyArray<ClassMember> =>
  params.flatMap((param) => {
    if (param.type !== "TSParameterProperty") return []
    const target = param.parameter.type === "AssignmentPattern" ? param.parameter.left : param.parameter
    if (target.type !== "Identifier") return []
    return [{
      name: target.name,
      kind: "field" as const,
      static: false,
      line: target.loc?.start.line ?? 1,
      ...visibilityOf(param.accessibility)
    }]
  })
