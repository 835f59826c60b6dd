import { expect, it } from 'vitest'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { isSluiceError } from '@sluice/contracts/errors'
import type { Column, ColumnType } from '@sluice/contracts/values'
import { change, ID_COLUMN, type Fixture } from './fixture.ts'

type Step = readonly [ColumnType, ColumnType, boolean]

/** The change of a column, and whether readers can follow. */
export const STEPS: readonly Step[] = [
  [{ kind: 'long' }, { kind: 'integer' }, false],
  [{ kind: 'double' }, { kind: 'float' }, false],
  [{ kind: 'text' }, { kind: 'integer' }, false],
  [{ kind: 'integer' }, { kind: 'text' }, false],
  [{ kind: 'integer' }, { kind: 'long' }, true],
  [{ kind: 'integer' }, { kind: 'double' }, true],
  [{ kind: 'long' }, { kind: 'float' }, true],
  [{ kind: 'float' }, { kind: 'double' }, true],
  [{ kind: 'boolean' }, { kind: 'integer' }, false],
  [{ kind: 'text' }, { kind: 'bytes' }, true],
  [{ kind: 'text' }, { kind: 'json' }, true],
  [{ kind: 'uuid' }, { kind: 'text' }, true],
  [{ kind: 'text' }, { kind: 'uuid' }, false],
  [{ kind: 'integer' }, { kind: 'date' }, false],
  [{ kind: 'date' }, { kind: 'integer' }, false],
  [{ kind: 'long' }, { kind: 'timestamp', zone: false }, false],
  [{ kind: 'timestamp', zone: false }, { kind: 'timestamp', zone: true }, false],
  [{ kind: 'date' }, { kind: 'text' }, false],
  [{ kind: 'decimal', precision: 10, scale: 2 }, { kind: 'decimal', precision: 12, scale: 2 }, true],
  [{ kind: 'decimal', precision: 10, scale: 2 }, { kind: 'decimal', precision: 10, scale: 3 }, false],
  [{ kind: 'decimal', precision: 10, scale: 2 }, { kind: 'bytes' }, false],
  [{ kind: 'list', of: { kind: 'integer' } }, { kind: 'list', of: { kind: 'long' } }, true],
  [{ kind: 'list', of: { kind: 'text' } }, { kind: 'list', of: { kind: 'boolean' } }, false],
  [{ kind: 'list', of: { kind: 'text' } }, { kind: 'text' }, false],
  [{ kind: 'struct', fields: [ID_COLUMN] }, { kind: 'text' }, false],
  [
    { kind: 'struct', fields: [ID_COLUMN] },
    { kind: 'struct', fields: [{ name: 'a', type: { kind: 'text' } }] },
    true,
  ],
  [
    { kind: 'struct', fields: [ID_COLUMN] },
    { kind: 'struct', fields: [{ ...ID_COLUMN, type: { kind: 'text' } }] },
    false,
  ],
]

export function compatibilityContract(fixture: Fixture): void {
  const { signal } = fixture

  async function accepted(subject: string, columns: readonly Column[]): Promise<boolean> {
    const answer = fixture.open().encoder(subject, changeSchema(columns), { signal })
    return answer.then(
      () => true,
      (error: unknown) => {
        if (isSluiceError(error, 'schema-incompatible')) return false
        throw error
      },
    )
  }

  it.each(STEPS)('a column of %j that becomes %j: accepted is %s', async (was, becomes, follows) => {
    const subject = fixture.subject()
    const column = (type: ColumnType): readonly Column[] => [ID_COLUMN, { name: 'Ändert sich', type }]
    expect(await accepted(subject, column(was))).toBe(true)
    expect(await accepted(subject, column(becomes))).toBe(follows)
    expect(await accepted(subject, column(was))).toBe(true)
  })

  it('accepts columns that come, go, are renamed or change places', async () => {
    const subject = fixture.subject()
    const other: Column = { name: 'other', type: { kind: 'text' } }
    for (const columns of [[ID_COLUMN], [ID_COLUMN, other], [other, ID_COLUMN], [other], [ID_COLUMN]]) {
      expect(await accepted(subject, columns)).toBe(true)
    }
  })

  it('names subject, field, old and new type and the way out, and registers nothing', async () => {
    const subject = fixture.subject()
    const codec = fixture.open()
    const columns = (type: ColumnType): readonly Column[] => [ID_COLUMN, { name: 'birth day', type }]
    await codec.encoder(subject, changeSchema(columns({ kind: 'text' })), { signal })
    const refused = codec.encoder(subject, changeSchema(columns({ kind: 'timestamp', zone: true })), {
      signal,
    })
    await expect(refused).rejects.toMatchObject({ code: 'schema-incompatible', retryable: false })
    const message = await refused.catch((error: unknown) => String(error))
    expect(message).toContain(subject)
    expect(message).toContain('field birth day was text and is now timestamp with time zone')
    expect(message).toContain('SLUICE_PREFIX')
    // The refused schema has left no trace: its opposite is accepted, though it could not follow the refused
    // one.
    expect(await accepted(subject, columns({ kind: 'json' }))).toBe(true)
  })

  it.each(STEPS)('takes a column of %j that becomes %j if any schema may follow', async (was, becomes) => {
    const subject = fixture.subject()
    const schemaOf = (type: ColumnType) => changeSchema([ID_COLUMN, { name: 'v', type }])
    const options = { signal, compatibility: 'none' } as const
    const codec = fixture.open()
    const first = await codec.encoder(subject, schemaOf(was), options)
    const second = await codec.encoder(subject, schemaOf(becomes), options)
    expect(second.schemaId).not.toBe(first.schemaId)
    // A schema that the subject has had before is the same again, and each record is read as it was written.
    for (const opened of [codec, fixture.open()])
      expect((await opened.encoder(subject, schemaOf(was), options)).schemaId).toBe(first.schemaId)
    const records = [first, second].map(encoder => encoder.encode(change({ id: 1, v: null })))
    const decoded = await fixture.open().decode(records, { signal })
    expect(decoded).toMatchObject([{ value: { after: { id: 1 } } }, { value: { after: { id: 1 } } }])
  })

  it('does not compare with the schemas of other subjects', async () => {
    expect(await accepted(fixture.subject(), [{ name: 'x', type: { kind: 'text' } }])).toBe(true)
    expect(await accepted(fixture.subject(), [{ name: 'x', type: { kind: 'integer' } }])).toBe(true)
  })
}
