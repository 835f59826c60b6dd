/** A model may have SQL over a table only if its source follows the table. */
import { expect, it } from 'vitest'
import { checkReferences } from './checks/check-references.ts'
import { decodeResource } from './decode/decode-resource.ts'
import { readDocuments } from './files/read-documents.ts'

const MODEL =
  'kind: model\nname: clients\nsource: shop\ntable: public.clients\nsql: select id from changes\nprimaryKey: id\n'
const POSTGRES = 'kind: source\nname: shop\ntype: postgres\nurl: postgres://u@h/d\n'

function problemsOf(...texts: readonly string[]): readonly string[] {
  const { resources } = readDocuments({ path: 'a.yaml', folder: '/p', text: texts.join('---\n') })
  const decoded = resources.map(document =>
    decodeResource(document, { env: {}, readFile: () => ({ text: '' }) }),
  )
  expect(decoded.flatMap(({ problems }) => problems)).toEqual([])
  return checkReferences(decoded, []).map(
    ({ line, field, message }) => `${line ?? 0} ${field ?? ''}: ${message}`,
  )
}

it('is right for a source that follows its tables', () => {
  expect(problemsOf(`${POSTGRES}follow: {}\n`, MODEL)).toEqual([])
})

it.each([
  POSTGRES,
  'kind: source\nname: shop\ntype: duckdb\npath: d\n',
  'kind: source\nname: shop\ntype: mysql\nurl: mysql://u@h/d\n',
])('is an error for any other source: %j', source => {
  const [problem, ...others] = problemsOf(source, MODEL)
  expect(problem).toMatch(
    /^\d+ table: model `clients`: wanted either `sql` or `table`, since source `shop` has no `follow`, found both$/,
  )
  expect(others).toEqual([])
})
