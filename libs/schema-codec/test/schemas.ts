import { expect, it } from 'vitest'
import { changeSchema, SCHEMAS } from '@sluice/contracts/avro/schemas'
import { SluiceError } from '@sluice/contracts/errors'
import type { Column } from '@sluice/contracts/values'
import { change, ID_COLUMN, type Fixture } from './fixture.ts'
import { RECORD_SAMPLES } from './record-samples.ts'

export function schemaContract(fixture: Fixture): void {
  const { signal } = fixture

  it('gives the same id for the same schema under a subject, to every caller', async () => {
    const subject = fixture.subject()
    const schema = changeSchema([ID_COLUMN])
    const first = await fixture.open().encoder(subject, schema, { signal })
    const second = await fixture.open().encoder(subject, structuredClone(schema), { signal })
    expect(second.schemaId).toBe(first.schemaId)
  })

  it('gives one id to many callers at the same time', async () => {
    const subject = fixture.subject()
    const schema = changeSchema([ID_COLUMN])
    const codecs = [fixture.open(), fixture.open(), fixture.open()]
    const asked = codecs.flatMap(codec =>
      Array.from({ length: 10 }, () => codec.encoder(subject, schema, { signal })),
    )
    const ids = new Set((await Promise.all(asked)).map(encoder => encoder.schemaId))
    expect(ids.size).toBe(1)
  })

  it('decodes records of other writers, for many callers at the same time', async () => {
    const bytes = await fixture.encoded(fixture.open(), SCHEMAS.Captured, [RECORD_SAMPLES.Captured])
    const reader = fixture.open()
    const all = await Promise.all(Array.from({ length: 30 }, () => reader.decode(bytes, { signal })))
    expect(all.every(([decoded]) => decoded?.name === 'sluice.Captured')).toBe(true)
  })

  it('decodes each record with the schema that it was written with: a field that came later is missing', async () => {
    const subject = fixture.subject()
    const codec = fixture.open()
    const older = await codec.encoder(subject, changeSchema([ID_COLUMN]), { signal })
    const columns: readonly Column[] = [{ name: 'city', type: { kind: 'text' } }, ID_COLUMN]
    const newer = await codec.encoder(subject, changeSchema(columns), { signal })
    expect(newer.schemaId).not.toBe(older.schemaId)
    const bytes = [
      older.encode(change({ id: 1 })),
      newer.encode(change({ city: 'Rome', id: 2 })),
      older.encode(change({ id: 3 })),
    ]
    const decoded = await fixture.open().decode(bytes, { signal })
    const rows = decoded.map(({ value }) => ('after' in value ? value.after : undefined))
    expect(rows).toStrictEqual([{ id: 1 }, { city: 'Rome', id: 2 }, { id: 3 }])
  })

  it('keeps differences that Avro itself has no word for', async () => {
    const subject = fixture.subject()
    const codec = fixture.open()
    const text = await codec.encoder(subject, changeSchema([{ name: 'x', type: { kind: 'text' } }]), {
      signal,
    })
    const json = await codec.encoder(subject, changeSchema([{ name: 'x', type: { kind: 'json' } }]), {
      signal,
    })
    expect(json.schemaId).not.toBe(text.schemaId)
  })

  it('refuses a model with two columns of one name', () => {
    expect(() => changeSchema([ID_COLUMN, ID_COLUMN])).toThrow(SluiceError)
  })
}
