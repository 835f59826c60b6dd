import { describe, expect, it } from 'vitest'
import { STARTING_DRAFT, withValue } from './draft.ts'
import { mistakeInWords, placeIn, placeInWords, rowErrorInWords } from './mistakes.ts'

describe('a mistake in the words of a form', () => {
  it.each([
    ['sync `a`: wanted a duration such as 30s, found `abc`', 'This has to be a duration such as 30s.'],
    ['sync `a`: wanted text, found nothing (write "" for empty text)', 'This is needed.'],
    ['destination `a`: wanted text that is not empty, found ``', 'This is needed.'],
    ['destination `a`: the field `baseUrl` is missing; wanted a URL', 'This is needed: a URL.'],
    ['sync `a`: unknown column "idx"; did you mean "id"?', 'Unknown column "idx"; did you mean "id"?'],
    ['output "{{ row.id" not closed', 'Output "{{ row.id" not closed.'],
  ])('%s', (message, words) => {
    expect(mistakeInWords({ message })).toBe(words)
  })

  const body = '{\n  "id": 1,\n  "name": {{ row.nam }}\n}\n'
  const sync = withValue(STARTING_DRAFT.sync, ['triggers', 'added', 'body', 'json'], body)
  const line = sync.split('\n').findIndex(each => each.includes('row.nam')) + 1
  const detail = { file: 'sync.yaml', line, column: 23, field: 'triggers.added.body.json', message: 'm' }

  it('has the line of its own field', () => {
    expect(placeIn(sync, detail)).toEqual({ line: 3, column: 15 })
    const texts = { ...STARTING_DRAFT, sync }
    expect(placeInWords(detail, texts)).toEqual({ kind: 'sync', where: 'Body, line 3' })
    const path = { file: 'sync.yaml', line: 4, field: 'triggers.removed.path', message: 'm' }
    expect(placeInWords(path, texts).where).toBe('Path, removed rows')
    const header = { file: 'destination.yaml', field: 'headers.X Y', message: 'm' }
    expect(placeInWords(header, texts)).toEqual({ kind: 'destination', where: 'Header X Y' })
    expect(placeInWords({ message: 'm' }, texts)).toEqual({ kind: null, where: '' })
  })
})

describe('the error of a row in the words of a form', () => {
  it.each([
    [
      'body.json: the rendered text is no JSON (line 3, column 7 of the template)',
      'Body, line 3: The rendered text is no JSON.',
    ],
    ['body.fields: the body has no value', 'Body: The body has no value.'],
    ['path: the text is empty (line 1, column 1 of the template)', 'Path: The text is empty.'],
    ['headers.X-Id: the text has a line break', 'Header X-Id: The text has a line break.'],
    ['query.page: the text is empty', 'Query parameter page: The text is empty.'],
    ['the row has no key', 'The row has no key.'],
    ['https://a.example.com: it does not answer', 'https://a.example.com: it does not answer'],
  ])('%s', (error, words) => {
    expect(rowErrorInWords(error)).toBe(words)
  })
})
