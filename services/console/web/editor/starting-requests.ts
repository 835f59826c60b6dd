/**
 * The requests that a form begins with: paths that follow from each other, and templates with all columns. A
 * template that nobody has edited is recognised by its text, and follows later changes of the columns.
 */

/** Returns a column as Liquid names it, for example `row.id` or `row["first name"]`. */
export function columnIn(column: string, row = 'row'): string {
  return /^[A-Za-z_][\w-]*$/.test(column) ? `${row}.${column}` : `${row}[${JSON.stringify(column)}]`
}

interface Templating {
  readonly columns: readonly string[]
  /** True if a request has several rows. */
  readonly isBatch: boolean
}

/** A JSON object with one field for each column, or an array of these objects. */
export function jsonOf({ columns, isBatch }: Templating): string {
  const indent = isBatch ? '    ' : '  '
  const fields = columns.map(column => `${indent}${JSON.stringify(column)}: {{ ${columnIn(column)} | json }}`)
  const lines = fields.join(',\n')
  if (!isBatch) return `{\n${lines}\n}\n`
  return `[\n  {%- for row in rows %}\n  {\n${lines}\n  },\n  {%- endfor %}\n]\n`
}

/** The template that a new sync has before its columns are known. */
const SHORT = '{"id": {{ row.id | json }}}\n'

/** Returns the columns of a template that `jsonOf` wrote and nobody has edited. Null for any other text. */
function columnsOfStart(template: string): Templating | null {
  if (template === SHORT) return { columns: ['id'], isBatch: false }
  const columns = [...template.matchAll(/^ +("(?:[^"\\]|\\.)*"): \{\{/gm)].map(([, name = '""']) =>
    String(JSON.parse(name)),
  )
  for (const isBatch of [false, true])
    if (columns.length > 0 && jsonOf({ columns, isBatch }) === template) return { columns, isBatch }
  return null
}

/** Returns a template that nobody has edited for a batch, or for one row. Null for any other text. */
export function rewritten(template: string, isBatch: boolean): string | null {
  const start = columnsOfStart(template)
  return start === null || start.isBatch === isBatch ? null : jsonOf({ ...start, isBatch })
}

/**
 * Gives a template the present columns, if it has exactly the columns from before. Null for any other text.
 */
export function withColumns(
  template: string,
  { before, columns }: { readonly before: readonly string[]; readonly columns: readonly string[] },
): string | null {
  const start = columnsOfStart(template)
  if (start === null || columns.length === 0) return null
  if (template !== SHORT && start.columns.join('\n') !== before.join('\n')) return null
  const next = jsonOf({ ...start, columns })
  return next === template ? null : next
}

/** Repeats a template of one row for each row of a batch. */
export function repeated(template: string): string {
  const own = template.trim().replaceAll(/\bcaptured\./g, 'row.captured.')
  return `[\n{%- for row in rows %}\n${own.replaceAll('row.row.captured', 'row.captured')},\n{%- endfor %}\n]\n`
}

/**
 * The path of one row below the path that adds rows: `/people/batch` and the key `id` give `/people/{{ row.id
 * }}`.
 */
export function pathOfOne(added: string, keys: readonly string[]): string {
  const [path = ''] = added.split('?')
  const own = keys.map(key => `{{ ${columnIn(key)} }}`).join('/')
  const isOfOne = keys.every(key => path.includes(columnIn(key)) || path.includes(`{{ ${key}`))
  if (isOfOne) return path
  return `${path.replace(/\/(?:batch|bulk)$/, '').replace(/\/$/, '')}/${own}`
}
