import { expect, it } from 'vitest'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { type Column, type ColumnType, JsonText, type Row } from '@sluice/contracts/values'
import { change, type Fixture } from './fixture.ts'

export function everyCharacterContract(fixture: Fixture): void {
  it(
    'gives back every character, alone, in front, behind, and in many bytes',
    { timeout: 60_000 },
    async () => {
      const names = ['alone', 'ahead', 'behind', 'ahead of much', 'json', 'list'] as const
      const text = { kind: 'text' } as const
      const types: { readonly [name: string]: ColumnType } = {
        json: { kind: 'json' },
        list: { kind: 'list', of: text },
      }
      const columns = names.map((name): Column => ({ name, type: types[name] ?? text }))
      const encoder = await fixture
        .open()
        .encoder(fixture.subject(), changeSchema(columns), { signal: fixture.signal })
      const reader = fixture.open()
      for (let from = 0; from < 0x110000; from += 8192) {
        if (from >= 0xd800 && from < 0xe000) continue
        const characters = Array.from({ length: 8192 }, (_, i) => String.fromCodePoint(from + i)).filter(c =>
          c.isWellFormed(),
        )
        const rows = characters.map((c): Row => {
          const values = [
            c,
            `${c}x`,
            `x${c}`,
            c + 'y'.repeat(50),
            new JsonText(JSON.stringify(c)),
            [c, null, c],
          ]
          return Object.fromEntries(names.map((name, i) => [name, values[i] ?? null]))
        })
        const bytes = rows.map((row, i) => encoder.encode(change(row, { key: characters[i] ?? '' })))
        const decoded = await reader.decode(bytes, { signal: fixture.signal })
        const shown = decoded.map(({ value }) =>
          JSON.stringify([Reflect.get(value, 'key'), Reflect.get(value, 'after')]),
        )
        const wanted = rows.map((row, i) => JSON.stringify([characters[i], row]))
        if (shown.join() !== wanted.join()) expect(shown).toEqual(wanted)
      }
    },
  )
}
