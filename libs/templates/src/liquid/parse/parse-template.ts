/**
 * Reads Liquid text into `TemplateNode`s. liquidjs's tokenizer reads the expressions. We read the tags, so
 * that each mistake is found and named with its place.
 */
import { messageOf } from '@sluice/contracts/errors'
import { nearestHint } from '@sluice/domain/nearest-name'
import { checkExpression } from './check-expression.ts'
import { ExpressionTokenizer } from './expression-tokenizer.ts'
import { MAX_TEMPLATE_LENGTH } from '../limits.ts'
import { readBlockTag } from './parse-blocks.ts'
import { readSimpleTag } from './parse-tags.ts'
import { notClosed, readTokens, type TopLevelToken } from './read-tokens.ts'
import { TemplateFault } from '../template-fault.ts'
import type { Block, BlockReader, ParsedTemplate, TagSource, TemplateNode } from './template-syntax.ts'

const MAX_NESTING = 100

/** All tags. The error for an unknown tag suggests the nearest of them. */
const TAGS = [
  ...['assign', 'capture', 'if', 'unless', 'case', 'for', 'tablerow', 'cycle', 'increment', 'decrement'],
  ...['break', 'continue', 'echo', 'liquid', 'comment', 'raw', 'doc', 'ifchanged', 'elsif', 'else', 'when'],
  ...['endcapture', 'endif', 'endunless', 'endcase', 'endfor', 'endtablerow', 'endcomment', 'endraw'],
  ...['enddoc', 'endifchanged'],
]
const INNER_TAGS = new Set(['elsif', 'else', 'when', ...TAGS.filter(tag => tag.startsWith('end'))])
const FILE_TAGS = new Set(['include', 'render', 'layout', 'block', 'section'])

/** Reads a template. Throws a `TemplateFault` with the place of the first mistake. */
export function parseTemplate(text: string): ParsedTemplate {
  if (text.length > MAX_TEMPLATE_LENGTH)
    throw new TemplateFault(
      `the template has ${text.length} characters; ${MAX_TEMPLATE_LENGTH} are allowed`,
      MAX_TEMPLATE_LENGTH,
    )
  const tokens = atLiquidPlace(() => readTokens(text), 0)
  const parser = new TemplateParser({ text, tokens, depth: 0 })
  const { nodes, end } = parser.readUntil(new Set(), null)
  if (end !== null) throw new TemplateFault(`unexpected {% ${end.name} %}`, end.begin)
  return { text, nodes }
}

/** Turns an error of liquidjs into a fault at the place that the error names, or at `fallback`. */
function atLiquidPlace<T>(read: () => T, fallback: number): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof TemplateFault) throw error
    if (error instanceof RangeError) throw new TemplateFault('the expression is nested too deep', fallback)
    const message = messageOf(error)
    const token: unknown = error instanceof Error && 'token' in error ? error.token : null
    const hasPlace = typeof token === 'object' && token !== null && 'begin' in token
    const at = hasPlace && typeof token.begin === 'number' ? token.begin : fallback
    throw new TemplateFault(explained(message.replace(/, line:\d+, col:\d+$/, '')), at)
  }
}

function explained(message: string): string {
  if (message === 'expected "|" before filter')
    return 'expected the end of the expression or "|" and a filter; comparisons are written == != > < >= <= contains'
  return message
}

interface Source {
  readonly text: string
  readonly tokens: readonly TopLevelToken[]
  readonly depth: number
}

/** Walks through the tokens of one template, or of one `{% liquid %}` tag. */
class TemplateParser implements BlockReader {
  readonly #source: Source
  #next = 0
  #depth: number

  constructor(source: Source) {
    this.#source = source
    this.#depth = source.depth
  }

  readUntil(names: ReadonlySet<string>, opener: TagSource | null): Block {
    this.#depth += 1
    if (this.#depth > MAX_NESTING)
      throw new TemplateFault(`tags are nested deeper than ${MAX_NESTING} levels`, opener?.begin ?? 0)
    const nodes: TemplateNode[] = []
    for (let token = this.#take(); token !== undefined; token = this.#take()) {
      if (token.kind === 'text') nodes.push({ kind: 'text', at: token.begin, text: token.text })
      else if (token.kind === 'raw')
        nodes.push({ kind: 'text', at: token.begin, text: token.text, isRaw: true })
      else if (token.kind === 'output') nodes.push(readOutput(this.#source.text, token.range, token.begin))
      else if (names.has(token.tag.name)) {
        this.#depth -= 1
        return { nodes, end: token.tag }
      } else nodes.push(...this.#readTag(token.tag, opener))
    }
    if (opener !== null) throw notClosed(opener.name, opener.begin)
    this.#depth -= 1
    return { nodes, end: null }
  }

  skipPast(name: string, opener: TagSource): void {
    let depth = 1
    for (let token = this.#take(); token !== undefined; token = this.#take()) {
      if (token.kind !== 'tag') continue
      if (token.tag.name === opener.name) depth += 1
      else if (token.tag.name === name) depth -= 1
      if (depth === 0) return
    }
    throw notClosed(opener.name, opener.begin)
  }

  readNested(tags: readonly TagSource[], opener: TagSource): readonly TemplateNode[] {
    const tokens = tags.map((tag): TopLevelToken => ({ kind: 'tag', tag }))
    const parser = new TemplateParser({ text: this.#source.text, tokens, depth: this.#depth })
    const { nodes, end } = parser.readUntil(new Set(), null)
    if (end !== null) throw unknownTag(end, opener)
    return nodes
  }

  #take(): TopLevelToken | undefined {
    const token = this.#source.tokens[this.#next]
    this.#next += 1
    return token
  }

  #readTag(tag: TagSource, opener: TagSource | null): readonly TemplateNode[] {
    return atLiquidPlace(() => {
      const nodes = readSimpleTag(tag) ?? readBlockTag(tag, this)
      if (nodes === null) throw unknownTag(tag, opener)
      return nodes
    }, tag.begin)
  }
}

function readOutput(input: string, range: [number, number], at: number): TemplateNode {
  return atLiquidPlace(() => {
    const tokenizer = new ExpressionTokenizer(input, range)
    tokenizer.skipBlank()
    if (tokenizer.end()) throw new TemplateFault('{{ }} is empty: name a value', at)
    const value = tokenizer.readFilteredValue()
    checkExpression(value, tokenizer)
    return { kind: 'output', at, value }
  }, at)
}

function unknownTag(tag: TagSource, opener: TagSource | null): TemplateFault {
  if (INNER_TAGS.has(tag.name)) {
    const open = opener === null ? 'no tag is open here' : `the open tag here is {% ${opener.name} %}`
    return new TemplateFault(`{% ${tag.name} %} does not fit: ${open}`, tag.begin)
  }
  if (FILE_TAGS.has(tag.name))
    return new TemplateFault(
      `{% ${tag.name} %} is not available: templates read no files; put a file's text into the template with \${file:PATH}`,
      tag.begin,
    )
  const hint = nearestHint(tag.name, TAGS)
  return new TemplateFault(`unknown tag "${tag.name}"${hint}`, tag.begin)
}
