/**
 * Checks the pieces of text between a template's tags. A fault of such a piece is in every request that has
 * the piece. So it is an error of the template, and not of each row.
 */
import type { TemplateNode } from '../liquid/parse/template-syntax.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

export interface LiteralFault {
  /** The place in the piece. */
  readonly index: number
  readonly message: string
}

/** Returns the fault of one piece, or null. `before` has all pieces before it. */
export type LiteralCheck = (piece: string, before: string) => LiteralFault | null

/**
 * Throws a `TemplateFault` at the first fault of a piece. Pieces inside a `capture` are not checked, since
 * filters may still change them.
 */
export function assertLiterals(nodes: readonly TemplateNode[], check: LiteralCheck): void {
  let before = ''
  for (const { at, text } of literalsOf(nodes)) {
    const fault = check(text, before)
    if (fault !== null) throw new TemplateFault(fault.message, at + fault.index)
    before += text
  }
}

function* literalsOf(
  nodes: readonly TemplateNode[],
): Generator<{ readonly at: number; readonly text: string }> {
  for (const node of nodes) {
    if (node.kind === 'text') yield node
    else if (node.kind === 'if') {
      for (const { body } of node.branches) yield* literalsOf(body)
      yield* literalsOf(node.otherwise)
    } else if (node.kind === 'case') {
      for (const { body } of node.branches) yield* literalsOf(body)
    } else if (node.kind === 'for') {
      yield* literalsOf(node.body)
      yield* literalsOf(node.otherwise)
    } else if (node.kind === 'tablerow' || node.kind === 'ifchanged') yield* literalsOf(node.body)
  }
}
