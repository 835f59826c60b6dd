/**
 * House rules that no ESLint package has: how files are called, and how wide comments are (with a fix that
 * wraps them anew).
 */

/** Words that say nothing about what a thing is for. */
const EMPTY_WORDS = 'utils?|helpers?|common|manager|handler|misc'
const FILE_NAME =
  /^[a-z0-9]+(-[a-z0-9]+)*((\.long)?(\.contract)?\.test|\.(config|rules))?\.(ts|tsx|js|mjs|cjs)$/
const EMPTY_FILE_NAME = new RegExp(`(^|[-/])(${EMPTY_WORDS})([-./]|$)`)
/**
 * Lines of a comment that are no running text: list items, tables, tags, directives, and whatever is indented
 * further.
 */
const FIXED_LINE = /^(\s|$|[-*|@#<]|\d+\.|eslint-|@?ts-|prettier-|```)/

const fileName = {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: {
      shape: '"{{name}}" is not kebab-case: a verb and a noun for an action, a noun for a thing.',
      empty: '"{{name}}" has a word that says nothing about what it is for ({{words}}).',
    },
  },
  create: context => ({
    Program(node) {
      const name = context.filename.slice(context.filename.lastIndexOf('/') + 1)
      if (name.startsWith('.')) return
      if (!FILE_NAME.test(name)) context.report({ node, messageId: 'shape', data: { name } })
      if (EMPTY_FILE_NAME.test(name))
        context.report({ node, messageId: 'empty', data: { name, words: EMPTY_WORDS } })
    },
  }),
}

/** Breaks words into lines of at most `width`; a longer word stands alone. */
function fill(words, width) {
  const lines = []
  let line = ''
  for (const word of words) {
    if (line === '') line = word
    else if (line.length + 1 + word.length <= width) line += ` ${word}`
    else {
      lines.push(line)
      line = word
    }
  }
  return line === '' ? lines : [...lines, line]
}

/**
 * Wraps the paragraphs that are too wide, and leaves all others as they are. A list item wraps below its own
 * text.
 */
function wrap(lines, width) {
  const wrapped = []
  for (let start = 0; start < lines.length;) {
    const item = /^(\s*(?:[-*]|\d+\.)\s+|\s+)/.exec(lines[start])?.[0] ?? ''
    const hang = ' '.repeat(item.length)
    const below = line =>
      item === '' ? !FIXED_LINE.test(line) : line.startsWith(hang) && !/^\s/.test(line.slice(item.length))
    let end = start + 1
    const text = line => line.slice(item.length)
    const isText = item !== '' ? text(lines[start]) !== '' : !FIXED_LINE.test(lines[start])
    while (isText && end < lines.length && below(lines[end]) && text(lines[end]) !== '') end += 1
    const paragraph = lines.slice(start, end)
    if (isText && paragraph.some(line => line.length > width)) {
      const words = paragraph.map(text).join(' ').trim().split(/\s+/)
      const filled = fill(words, width - item.length)
      wrapped.push(...filled.map((line, index) => (index === 0 ? item : hang) + line))
    } else wrapped.push(...paragraph)
    start = end
  }
  return wrapped
}

/** The same block comment with no line wider than `max`; `indent` is the column it starts in. */
function wrapBlock(comment, indent, max) {
  const pad = ' '.repeat(indent)
  const open = comment.value.startsWith('*') ? '/**' : '/*'
  const inner = comment.value.replace(/^\*/, '').split('\n')
  const bare = inner.map((line, index) =>
    index === 0 ? line.trim() : line.replace(/^\s*\* ?/, '').trimEnd(),
  )
  while (bare.length > 0 && bare[0] === '') bare.shift()
  while (bare.length > 0 && bare.at(-1).trim() === '') bare.pop()
  const lines = wrap(bare, max - indent - 3).map(line => `${pad} * ${line}`.trimEnd())
  return `${open}\n${lines.join('\n')}\n${pad} */`
}

/** Runs of line comments that stand alone on their lines, in one column. */
function lineRuns(comments, source) {
  const runs = []
  for (const comment of comments) {
    const before = source.lines[comment.loc.start.line - 1].slice(0, comment.loc.start.column)
    if (comment.type !== 'Line' || before.trim() !== '') continue
    const last = runs.at(-1)?.at(-1)
    const follows =
      last?.loc.start.line === comment.loc.start.line - 1 &&
      last.loc.start.column === comment.loc.start.column
    if (follows) runs.at(-1).push(comment)
    else runs.push([comment])
  }
  return runs
}

const commentWidth = {
  meta: {
    type: 'layout',
    fixable: 'whitespace',
    schema: [{ type: 'integer' }],
    messages: { wide: 'A comment line of more than {{max}} characters; `npm run lint -- --fix` wraps it.' },
  },
  create: context => ({
    Program() {
      const source = context.sourceCode
      const max = context.options[0]
      const isWide = ({ loc }) =>
        source.lines.slice(loc.start.line - 1, loc.end.line).some(line => line.length > max)
      const report = (loc, range, text) => {
        const same = text === source.text.slice(...range)
        const fix = same ? null : fixer => fixer.replaceTextRange(range, text)
        context.report({ loc, messageId: 'wide', data: { max }, fix })
      }
      const comments = source.getAllComments()
      for (const comment of comments) {
        const alone = source.lines[comment.loc.end.line - 1].slice(comment.loc.end.column).trim() === ''
        const column = comment.loc.start.column
        const first = source.lines[comment.loc.start.line - 1].slice(0, column).trim() === ''
        if (comment.type !== 'Block' || !alone || !first || !isWide(comment)) continue
        report(comment.loc, comment.range, wrapBlock(comment, column, max))
      }
      for (const run of lineRuns(comments, source)) {
        if (!run.some(isWide)) continue
        const column = run[0].loc.start.column
        const lines = wrap(
          run.map(({ value }) => value.replace(/^ /, '').trimEnd()),
          max - column - 3,
        )
        const text = lines.map(line => `// ${line}`.trimEnd()).join(`\n${' '.repeat(column)}`)
        report(run[0].loc, [run[0].range[0], run.at(-1).range[1]], text)
      }
    },
  }),
}

export const houseRules = { 'file-name': fileName, 'comment-width': commentWidth }
