import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { sampleChange } from '@sluice/testkit/sample-records'
import type { CompiledTrigger } from '@sluice/templates/compile'
import { renderPlaced } from './render-placed.ts'

const input = { topic: 'sluice.people.changes', partition: 3 }
const context = {
  run: { id: 'RUN1', startedAt: '2026-01-01T00:00:00.000Z' },
  sync: { name: 'people' },
  naming: [],
}

/** A template that comes upon a value that its schema does not allow. */
function failing(code: 'corrupt' | 'template'): CompiledTrigger {
  const fail = (): never => {
    throw new SluiceError(code, 'A row of a change has a value that its schema does not allow.')
  }
  return {
    batch: null,
    neededColumns: 'all',
    renderEncoded: fail,
    render: fail,
  } as unknown as CompiledTrigger
}

it.each([
  ['of one row', 8, 'Partition 3 of the topic sluice.people.changes has at offset 7 what cannot be read'],
  ['of several rows', 12, 'has between offset 7 and offset 11 what cannot be read'],
])('a batch %s that cannot be decoded says where it stands', (_, end, place) => {
  const batch = { op: 'added', changes: [sampleChange()], start: 7, end } as const
  const told = expect.objectContaining({ code: 'corrupt', message: expect.stringContaining(place) as string })
  let thrown: unknown
  try {
    renderPlaced(batch, failing('corrupt'), { context, input })
  } catch (error) {
    thrown = error
  }
  expect(thrown).toEqual(told)
})

it('an error of another kind stays as it is', () => {
  const batch = { op: 'added', changes: [sampleChange()], start: 7, end: 8 } as const
  expect(() => renderPlaced(batch, failing('template'), { context, input })).toThrow(/^A row of a change/)
})
