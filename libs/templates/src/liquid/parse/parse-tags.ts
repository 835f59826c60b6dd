/** Reads the tags that have no end tag. */
import { checkEnd, checkExpression } from './check-expression.ts'
import { TemplateFault } from '../template-fault.ts'
import type { Filtered, TagSource, TemplateNode } from './template-syntax.ts'

/** Reads a tag that has no end tag. Returns null for any other tag. */
export function readSimpleTag(tag: TagSource): readonly TemplateNode[] | null {
  const at = tag.begin
  switch (tag.name) {
    case '#':
      return readComment(tag)
    case 'assign':
      return [readAssign(tag)]
    case 'echo':
      return [{ kind: 'output', at, value: readWholeValue(tag) }]
    case 'increment':
      return [{ kind: 'counter', at, name: readName(tag), step: 1 }]
    case 'decrement':
      return [{ kind: 'counter', at, name: readName(tag), step: -1 }]
    case 'break':
    case 'continue':
      checkEnd(tag.tokenizer)
      return [{ kind: 'jump', at, to: tag.name }]
    case 'cycle':
      return [readCycle(tag)]
    default:
      return null
  }
}

/** Reads the expression of a tag that has no other arguments. */
export function readWholeValue(tag: TagSource): Filtered {
  const value = tag.tokenizer.readFilteredValue()
  checkExpression(value, tag.tokenizer)
  return value
}

/**
 * Each line of an inline comment has to begin with `#`. Otherwise a missing `%}` would hide tags in the
 * comment.
 */
function readComment(tag: TagSource): readonly TemplateNode[] {
  let at = tag.begin
  for (const line of tag.args.split('\n').slice(1)) {
    at = tag.tokenizer.input.indexOf('\n', at) + 1
    if (/^\s*(#|$)/.test(line)) continue
    throw new TemplateFault(
      'each line of {% # %} has to begin with "#", and this one does not: begin it so, or end the comment before it with "%}"',
      at + line.search(/\S/),
    )
  }
  return []
}

/**
 * Returns a name to which a value is assigned. Throws a `TemplateFault` for a text that is no name. As with
 * Shopify, only the variable of a loop may have a question mark.
 */
export function plainName(
  { content, begin }: { readonly content: string; readonly begin: number },
  isLoopVariable = false,
): string {
  if (!content.startsWith('-') && (isLoopVariable || !content.includes('?'))) return content
  throw new TemplateFault(`"${content}" is no name: it begins with a letter or "_" and has no "?"`, begin)
}

function readName(tag: TagSource): string {
  const name = tag.tokenizer.readIdentifier()
  if (name.size() === 0) throw new TemplateFault(`{% ${tag.name} %} needs a name`, tag.tokenizer.p)
  checkEnd(tag.tokenizer)
  return plainName(name)
}

function readAssign(tag: TagSource): TemplateNode {
  const { tokenizer } = tag
  const name = tokenizer.readIdentifier()
  if (name.size() === 0)
    throw new TemplateFault('{% assign %} needs a name: {% assign name = value %}', tokenizer.p)
  tokenizer.skipBlank()
  if (tokenizer.peek() !== '=')
    throw new TemplateFault(`"=" is missing: {% assign ${name.content} = value %}`, tokenizer.p)
  tokenizer.advance()
  return { kind: 'assign', at: tag.begin, name: plainName(name), value: readWholeValue(tag) }
}

function readCycle(tag: TagSource): TemplateNode {
  const { tokenizer } = tag
  const begin = tokenizer.p
  let group = tokenizer.readValue() ?? null
  tokenizer.skipBlank()
  if (group !== null && tokenizer.peek() === ':') {
    tokenizer.advance()
  } else {
    group = null
    tokenizer.p = begin
  }
  const values: Filtered[] = []
  for (;;) {
    const value = tokenizer.readFilteredValue()
    checkExpression(value, null)
    values.push(value)
    tokenizer.skipBlank()
    if (tokenizer.peek() !== ',') break
    tokenizer.advance()
  }
  checkEnd(tokenizer)
  const signature = values.map(value => value.getText().trim()).join(',')
  return { kind: 'cycle', at: tag.begin, group, values, signature }
}
