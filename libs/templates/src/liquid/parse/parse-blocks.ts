/** Reads the tags that enclose others. */
import { TemplateFault } from '../template-fault.ts'
import { checkEnd, excerpt } from './check-expression.ts'
import { ExpressionTokenizer } from './expression-tokenizer.ts'
import { plainName, readWholeValue } from './parse-tags.ts'
import { tagOf } from './read-tokens.ts'
import type {
  BlockReader,
  Branch,
  CaseBranch,
  LoopOptions,
  TagSource,
  TemplateNode,
  ValueToken,
} from './template-syntax.ts'

/** Reads a tag that has an end tag, with all nodes inside of it. Returns null for any other tag. */
export function readBlockTag(tag: TagSource, parser: BlockReader): readonly TemplateNode[] | null {
  switch (tag.name) {
    case 'if':
    case 'unless':
      return [withoutBlanks(readIf(tag, parser))]
    case 'case':
      return [withoutBlanks(readCase(tag, parser))]
    case 'for':
      return [withoutBlanks(readFor(tag, parser))]
    case 'tablerow':
      return [readTablerow(tag, parser)]
    case 'capture':
      return [readCapture(tag, parser)]
    case 'comment':
      parser.skipPast('endcomment', tag)
      return []
    case 'ifchanged':
      return [readIfChanged(tag, parser)]
    case 'liquid':
      return parser.readNested(readLines(tag), tag)
    default:
      return null
  }
}

/** Returns the tags of `{% liquid %}`, which has one on each line. */
function readLines({ tokenizer: { input, p, N } }: TagSource): readonly TagSource[] {
  const tags: TagSource[] = []
  for (let from = p; from < N;) {
    const lineEnd = input.indexOf('\n', from)
    const end = lineEnd < 0 || lineEnd > N ? N : lineEnd
    const begin = from + input.slice(from, end).search(/\S|$/)
    if (begin < end) tags.push(tagOf(begin, new ExpressionTokenizer(input, [begin, end]), end))
    from = end + 1
  }
  return tags
}

function readIfChanged(tag: TagSource, parser: BlockReader): TemplateNode {
  checkEnd(tag.tokenizer)
  const { nodes, end } = parser.readUntil(new Set(['endifchanged']), tag)
  if (end !== null) checkEnd(end.tokenizer)
  return { kind: 'ifchanged', at: tag.begin, body: nodes }
}

function readCapture(tag: TagSource, parser: BlockReader): TemplateNode {
  const { tokenizer } = tag
  const word = tokenizer.readIdentifier()
  const name = word.size() > 0 ? plainName(word) : tokenizer.readQuoted()?.content
  if (name === undefined || name === '')
    throw new TemplateFault('{% capture %} needs a name: {% capture name %}', tokenizer.p)
  checkEnd(tokenizer)
  const { nodes } = parser.readUntil(new Set(['endcapture']), tag)
  return { kind: 'capture', at: tag.begin, name, body: nodes }
}

function readIf(tag: TagSource, parser: BlockReader): TemplateNode {
  const endName = `end${tag.name}`
  const branches: Branch[] = []
  let condition = readWholeValue(tag)
  let negated = tag.name === 'unless'
  for (;;) {
    const { nodes, end } = parser.readUntil(new Set(['elsif', 'else', endName]), tag)
    branches.push({ negated, condition, body: nodes })
    negated = false
    if (end?.name !== 'elsif')
      return { kind: 'if', at: tag.begin, branches, otherwise: readElse(end, tag, parser) }
    condition = readWholeValue(end)
  }
}

/** Reads the nodes behind an `{% else %}`. Returns none if `end` is the end tag already. */
function readElse(end: TagSource | null, opener: TagSource, parser: BlockReader): readonly TemplateNode[] {
  if (end === null) return []
  checkEnd(end.tokenizer)
  if (end.name !== 'else') return []
  const rest = parser.readUntil(new Set([`end${opener.name}`]), opener)
  if (rest.end !== null) checkEnd(rest.end.tokenizer)
  return rest.nodes
}

function readCase(tag: TagSource, parser: BlockReader): TemplateNode {
  const value = readWholeValue(tag)
  const branches: CaseBranch[] = []
  const names = new Set(['when', 'else', 'endcase'])
  // Text before the first {% when %} is never rendered.
  let { end } = parser.readUntil(names, tag)
  while (end?.name === 'when' || end?.name === 'else') {
    const values = end.name === 'when' ? readWhenValues(end) : null
    if (values === null) checkEnd(end.tokenizer)
    const block = parser.readUntil(names, tag)
    branches.push({ values, body: block.nodes })
    end = block.end
  }
  if (end !== null) checkEnd(end.tokenizer)
  return { kind: 'case', at: tag.begin, value, branches }
}

function readWhenValues(tag: TagSource): readonly ValueToken[] {
  const { tokenizer } = tag
  const values: ValueToken[] = []
  for (;;) {
    values.push(tokenizer.readValueOrThrow())
    tokenizer.skipBlank()
    if (tokenizer.end()) return values
    const begin = tokenizer.p
    if (tokenizer.peek() === ',') tokenizer.advance()
    else if (tokenizer.readIdentifier().content !== 'or')
      throw new TemplateFault('values of {% when %} are separated by "," or "or"', begin)
  }
}

function readLoop(tag: TagSource): { variable: string; collection: ValueToken } {
  const { tokenizer } = tag
  const variable = tokenizer.readIdentifier()
  const word = tokenizer.readIdentifier()
  const collection = variable.size() > 0 && word.content === 'in' ? tokenizer.readValue() : undefined
  if (collection === undefined)
    throw new TemplateFault(
      `{% ${tag.name} ${tag.args} %} is not understood; expected {% ${tag.name} item in list %}`,
      tag.begin,
    )
  return { variable: plainName(variable, true), collection }
}

function readFor(tag: TagSource, parser: BlockReader): TemplateNode {
  const { variable, collection } = readLoop(tag)
  const { options } = readLoopOptions(tag)
  const { nodes, end } = parser.readUntil(new Set(['else', 'endfor']), tag)
  const otherwise = readElse(end, tag, parser)
  return { kind: 'for', at: tag.begin, variable, collection, options, body: nodes, otherwise }
}

function readTablerow(tag: TagSource, parser: BlockReader): TemplateNode {
  const { variable, collection } = readLoop(tag)
  const { options, columns } = readLoopOptions(tag)
  const { nodes, end } = parser.readUntil(new Set(['endtablerow']), tag)
  if (end !== null) checkEnd(end.tokenizer)
  return { kind: 'tablerow', at: tag.begin, variable, collection, options, columns, body: nodes }
}

/** Reads options such as `limit: 2 offset: continue reversed`, in any order. Only tables take `cols`. */
function readLoopOptions(tag: TagSource): { options: LoopOptions; columns: ValueToken | null } {
  let offset: ValueToken | 'continue' | null = null
  let limit: ValueToken | null = null
  let columns: ValueToken | null = null
  let reversed = false
  for (const hash of tag.tokenizer.readHashes(':')) {
    const name = hash.name.content
    const { value } = hash
    if (name === 'reversed' && value === undefined) reversed = true
    else if (name === 'offset' && value !== undefined)
      offset = value.getText() === 'continue' ? 'continue' : value
    else if (name === 'limit' && value !== undefined) limit = value
    else if (name === 'cols' && value !== undefined && tag.name === 'tablerow') columns = value
    else throw new TemplateFault(`unexpected ${excerpt(hash.getText())} in {% ${tag.name} %}`, hash.begin)
  }
  checkEnd(tag.tokenizer)
  return { options: { offset, limit, reversed }, columns }
}

type Block = TemplateNode & { kind: 'if' | 'case' | 'for' }

/**
 * Drops the white space of a block that can print nothing else, such as an `{% if %}` that holds only `{%
 * assign %}`s. The rules are the same as of Shopify's own `blank?`.
 */
function withoutBlanks(node: TemplateNode): TemplateNode {
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
