import { SluiceError } from '@sluice/contracts/errors'
import { destination, duckdbSource, model, sync, type Definition } from '@sluice/contracts/resources'
import { describe, expect, it } from 'vitest'
import { placedError, type Origins } from './placed-error.ts'

const definition: Definition = {
  source: duckdbSource.parse({ kind: 'source', name: 's', type: 'duckdb', path: '.' }),
  model: model.parse({ kind: 'model', name: 'm', source: 's', sql: 'select 1 as id', primaryKey: 'id' }),
  destination: destination.parse({ kind: 'destination', name: 'd', baseUrl: 'http://x' }),
  sync: sync.parse({
    kind: 'sync',
    name: 'a',
    model: 'm',
    destination: 'd',
    triggers: { added: { method: 'POST', path: '/x' } },
  }),
}

const at = (file: string, line: number) => ({ file, line, column: 3 })
const originsOf = (kind: string): Origins | undefined => {
  const fields: { readonly [kind: string]: string } = { sync: 'compare[0]', model: 'sql' }
  const field = fields[kind]
  if (field === undefined) return undefined
  const text = (line: number, column: number) => ({ file: `${kind}.yaml`, line: 10 + line, column })
  const whole = { key: at(`${kind}.yaml`, 1), place: at(`${kind}.yaml`, 1), text }
  return new Map([
    ['', whole],
    [field, { key: at(`${kind}.yaml`, 4), place: at(`${kind}.yaml`, 5), text }],
  ])
}
const placed = (error: unknown): unknown => placedError(error, definition, originsOf)

describe('an error of a definition', () => {
  it('has its place in the file of the resource that has the field', () => {
    const details = [{ field: 'sql', line: 2, column: 7, message: 'no such column' }]
    expect(placed(new SluiceError('query', 'The query fails.', { details, retryable: true }))).toMatchObject({
      code: 'query',
      message: 'The query fails.',
      retryable: true,
      details: [
        { file: 'model.yaml', line: 12, column: 7, field: 'sql', message: 'model `m`: no such column' },
      ],
    })
    const named = new SluiceError('config', 'x', { details: [{ field: 'compare[0]', message: 'unknown' }] })
    expect(placed(named)).toMatchObject({
      details: [{ ...at('sync.yaml', 5), message: 'sync `a`: unknown' }],
    })
  })

  it('stays as it is if it is about no field that is written, or about none', () => {
    const errors = [
      new SluiceError('config', 'x', { details: [{ field: 'timeout', message: 'too long' }] }),
      new SluiceError('missing-file', 'x', { details: [{ file: '/data/a.csv', message: 'not there' }] }),
      new SluiceError('unreachable', 'x'),
      new TypeError('a bug'),
    ]
    for (const error of errors) expect(placed(error)).toBe(error)
  })
})
