/**
 * Liquid drops the white space of a block that can print nothing else, such as an `{% if %}` that holds only
 * `{% assign %}`s. So do we, by the rules of Shopify's own `blank?`.
 */
import type { TemplateNode } from './template-syntax.ts'

type Block = TemplateNode & { kind: 'if' | 'case' | 'for' }

/** The block, without the white space right inside of it if all of it is blank. */
export function withoutBlanks(node: TemplateNode): TemplateNode {
  if (node.kind === 'if') {
    if (!isBlank(node)) return node
    const branches = node.branches.map(branch => ({ ...branch, body: withoutText(branch.body) }))
    return { ...node, branches, otherwise: withoutText(node.otherwise) }
  }
  if (node.kind === 'case') {
    if (!isBlank(node)) return node
    return { ...node, branches: node.branches.map(branch => ({ ...branch, body: withoutText(branch.body) })) }
  }
  if (node.kind !== 'for' || !isBlank(node)) return node
  return { ...node, body: withoutText(node.body), otherwise: withoutText(node.otherwise) }
}

function withoutText(nodes: readonly TemplateNode[]): readonly TemplateNode[] {
  return nodes.filter(node => node.kind !== 'text')
}

function isBlank(node: Block): boolean {
  if (node.kind === 'for') return [node.body, node.otherwise].every(areBlank)
  const bodies = node.branches.map(branch => branch.body)
  return (node.kind === 'if' ? [...bodies, node.otherwise] : bodies).every(areBlank)
}

function areBlank(nodes: readonly TemplateNode[]): boolean {
  return nodes.every(node => {
    if (node.kind === 'text') return node.isRaw === true ? node.text === '' : node.text.trim() === ''
    if (node.kind === 'assign' || node.kind === 'capture') return true
    return (node.kind === 'if' || node.kind === 'case' || node.kind === 'for') && isBlank(node)
  })
}
