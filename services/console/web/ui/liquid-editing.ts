/** Help with Liquid while somebody types: pairs of brackets, completion, and variables put in by a click. */
import { snippetCompletion, type Completion, type CompletionSource } from '@codemirror/autocomplete'
import { Prec, type EditorState, type Extension } from '@codemirror/state'
import { EditorView, keymap } from '@codemirror/view'

/** An opening is looked for in this many characters before the cursor. */
const MAX_TAG = 2_000

/** `output` within `{{ }}`, `tag` within `{% %}`, null outside of both. */
export function liquidAt(before: string): 'output' | 'tag' | null {
  const output = before.lastIndexOf('{{')
  const tag = before.lastIndexOf('{%')
  const opened = Math.max(output, tag)
  const closed = Math.max(before.lastIndexOf('}}'), before.lastIndexOf('%}'))
  if (opened < 0 || closed > opened) return null
  return output > tag ? 'output' : 'tag'
}

const textBefore = (state: EditorState, at: number): string => state.sliceDoc(Math.max(0, at - MAX_TAG), at)

/**
 * Closes `{{` and `{%` as they are typed, anywhere in the text. If the user types the closing part, too, it
 * replaces the part that was added.
 */
const typing = EditorView.inputHandler.of((view, from, to, text) => {
  if (from !== to || view.state.readOnly || view.composing) return false
  const before = textBefore(view.state, from)
  const after = view.state.sliceDoc(from, from + 2)
  const write = (insert: string, end = from, cursor = from + 1): true => {
    view.dispatch({
      changes: { from, to: end, insert },
      selection: { anchor: cursor },
      scrollIntoView: true,
      userEvent: 'input.type',
    })
    return true
  }
  if ((text === '{' || text === '%') && before.endsWith('{') && !before.endsWith('{{'))
    return write(text === '{' ? '{}}' : '%%}')
  const inside = liquidAt(before)
  if (inside === null) return false
  if (text === '%' && inside === 'tag' && after === '%}') return write('%', from + 1)
  if (text === '}' && after.startsWith('}') && (after === '}}' || /[%}]$/.test(before)))
    return write('}', from + 1)
  return false
})

/** Removes the closing part together with the opening one, as long as nothing is between them. */
const takingBack = keymap.of([
  {
    key: 'Backspace',
    run: view => {
      const { main } = view.state.selection
      const at = main.head
      const around = view.state.sliceDoc(Math.max(0, at - 2), at + 2)
      if (!main.empty || view.state.readOnly || !['{{}}', '{%%}'].includes(around)) return false
      view.dispatch({ changes: { from: at - 1, to: at + 2 }, userEvent: 'delete.backward' })
      return true
    },
  },
])

export const LIQUID_EDITING: Extension = [Prec.highest(typing), Prec.high(takingBack)]

/** The filters that most templates need, each with what it does. */
export const FILTERS: { readonly [name: string]: string } = {
  json: 'as JSON, quoted and escaped',
  default: 'in place of null and empty text',
  ...{ date: 'a time in a format', downcase: 'in small letters', upcase: 'in capital letters' },
  ...{ capitalize: 'the first letter as a capital', strip: 'without blanks at both ends' },
  ...{ replace: 'one text by another', remove: 'without a text', split: 'a text as a list' },
  ...{ join: 'a list as a text', append: 'a text behind it', prepend: 'a text before it' },
  ...{ truncate: 'at most so long', slice: 'a part of a text', size: 'how long it is' },
  ...{ first: 'the first item', last: 'the last item', map: 'one field of each item' },
  ...{ where: 'the items with a value', sort: 'sorted', uniq: 'each item once', compact: 'without nulls' },
  ...{ plus: 'and a number', minus: 'less a number', times: 'multiplied', divided_by: 'divided' },
  ...{ round: 'a rounded number', floor: 'rounded down', ceil: 'rounded up', abs: 'without its sign' },
  ...{ escape: 'escaped for HTML', url_encode: 'escaped for a URL', raw: 'as it is, not escaped' },
  ...{ base64_encode: 'in Base64', sha256: 'its SHA-256' },
}

export const TAGS: { readonly [name: string]: string } = {
  for: 'for ${row} in ${rows} %}${}{% endfor',
  if: 'if ${condition} %}${}{% endif',
  unless: 'unless ${condition} %}${}{% endunless',
  case: 'case ${value} %}{% when ${value} %}${}{% endcase',
  assign: 'assign ${name} = ${value}',
  capture: 'capture ${name} %}${}{% endcapture',
  comment: 'comment %}${}{% endcomment',
}
/** Tags inside a block, or at its end. */
const PARTS = ['else', 'elsif', 'when', 'endfor', 'endif', 'endunless', 'endcase', 'endcapture', 'break']

/**
 * Completes variables, filters and tags. Outside of Liquid, a variable comes with its braces, and as JSON if
 * the text is JSON.
 */
export function liquidCompletion(words: readonly string[], isJson: boolean): CompletionSource {
  const variable = (apply: (word: string) => string): Completion[] =>
    words.map(word => ({ label: word, type: 'variable', apply: apply(word) }))
  const inside = variable(word => word)
  const filters = Object.entries(FILTERS).map(([label, detail]) => ({ label, detail, type: 'function' }))
  const tags = [
    ...Object.entries(TAGS).map(([label, text]) => snippetCompletion(text, { label, type: 'keyword' })),
    ...PARTS.map(label => ({ label, type: 'keyword' })),
  ]
  return ({ state, pos, explicit }) => {
    const before = textBefore(state, pos)
    const from = pos - (/[A-Za-z_][\w.-]*$/.exec(before)?.[0].length ?? 0)
    const head = before.slice(0, before.length - (pos - from))
    const at = liquidAt(before)
    if (at === null) {
      // In plain text, `row.` asks for a column. Any other word is just text.
      if (!explicit && !/\b(?:row|rows|previous|captured)\.\w*$/.test(before)) return null
      const options = variable(word => `{{ ${word}${isJson && !isQuoted(head) ? ' | json' : ''} }}`)
      return { from, options, validFor: /^[\w.-]*$/ }
    }
    if (/\|\s*$/.test(head)) return { from, options: filters, validFor: /^\w*$/ }
    if (at === 'tag' && /\{%-?\s*$/.test(head)) return { from, options: tags, validFor: /^\w*$/ }
    if (from === pos && !explicit) return null
    return { from, options: inside, validFor: /^[\w.-]*$/ }
  }
}

/** True if a text of JSON is open at the end of the line. Quotes in Liquid do not count. */
export function isQuoted(before: string): boolean {
  const line = before.slice(before.lastIndexOf('\n') + 1)
  const plain = line.replaceAll(/\{\{.*?\}\}|\{%.*?%\}/g, '').replaceAll(/\\./g, '')
  return (plain.match(/"/g) ?? []).length % 2 === 1
}

/** Puts a variable where the cursor is: with braces, or within those that are there. */
export function insertVariable(view: EditorView, word: string, isJson: boolean): void {
  const { from, to } = view.state.selection.main
  const before = textBefore(view.state, from)
  const filter = isJson && !isQuoted(before) ? ' | json' : ''
  const insert = liquidAt(before) === null ? `{{ ${word}${filter} }}` : word
  view.dispatch({
    changes: { from, to, insert },
    selection: { anchor: from + insert.length },
    scrollIntoView: true,
    userEvent: 'input.complete',
  })
  view.focus()
}
