/**
 * Every character, and texts of every length around the borders of what is read at once, stay what they are.
 */
import { describe, expect, it } from 'vitest'
import type { Value } from '@sluice/contracts/values'
import { changesOf, type DeliveredStateHarness, requestFor } from './harness.ts'
import { Played } from './played.ts'

const TIMEOUT = { timeout: 240_000 }

/**
 * All code points but the surrogates, which stand for no character, in stretches that are read at once. In
 * planes 4 to 13 no character is assigned: of these, the first and the last.
 */
const STRETCHES = [
  { from: 0, to: 0x20000 },
  { from: 0x20000, to: 0x40100 },
  { from: 0xdff00, to: 0x100000 },
  { from: 0x100000, to: 0x110000 },
]
const SURROGATES = { from: 0xd800, to: 0xdfff }
const CHARACTERS =
  STRETCHES.reduce((sum, { from, to }) => sum + to - from, 0) - (SURROGATES.to - SURROGATES.from + 1)

/**
 * Returns the values of a row, by its code point: the character alone, in front, behind, between, and in
 * nested values.
 */
const POSITIONS: { readonly [name: string]: readonly [sql: string, of: (c: string) => Value] } = {
  alone: ['c', c => c],
  ahead: [`c || 'x'`, c => `${c}x`],
  behind: [`'x' || c`, c => `x${c}`],
  ahead_of_much: [`c || repeat('y', 20)`, c => `${c}${'y'.repeat(20)}`],
  twice: ['c || c', c => c + c],
}

/** Rows of one stretch of code points; each key is its character. */
function sqlOf({ from, to }: (typeof STRETCHES)[number]): string {
  const values = Object.entries(POSITIONS).map(([name, [sql]]) => `${sql} AS ${name}`)
  return `SELECT c AS id, ${values.join(', ')} FROM (SELECT chr(range::INTEGER) AS c
    FROM range(${from}, ${to}) WHERE range NOT BETWEEN ${SURROGATES.from} AND ${SURROGATES.to})`
}

export function everyCharacterSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: every character stays what it is, wherever it stands`, TIMEOUT, () => {
    it('in rows that are added, known and changed', async () => {
      let seen = 0
      for (const stretch of STRETCHES) {
        await using state = await harness().open({ name: `state-${stretch.from}` })
        const request = await requestFor(harness(), sqlOf(stretch))
        const { changes } = await changesOf(await state.diff(request))
        const records = changes.map((change, seq) => ({
          offset: seq,
          timestamp: 0,
          change: { ...change, run: 1, seq, replayed: null },
        }))
        await state.feed({ partition: 0, changes: { records, nextOffset: records.length } })
        await state.commit()
        expect((await changesOf(await state.diff(request))).changes).toEqual([])
        let codePoint = stretch.from
        for (const { key, after } of changes) {
          if (codePoint === SURROGATES.from) codePoint = SURROGATES.to + 1
          const character = String.fromCodePoint(codePoint)
          const wrong = Object.entries(POSITIONS).filter(
            ([column, [, of]]) => after?.[column] !== of(character),
          )
          if (key !== character || wrong.length > 0)
            expect({ key, ...after }).toEqual({ key: character, id: character, ...expectedOf(character) })
          seen += 1
          codePoint += 1
        }
      }
      expect(seen).toBe(CHARACTERS)
    })

    it('in keys that leave, in samples, and in keys that are ended', async () => {
      const characters = [
        '\u{feff}',
        '\u{feff}\u{feff}',
        '\u{feff}x',
        '\0',
        '\u2028',
        '\u{ffff}',
        '\u{fffd}',
        '\u{10ffff}',
      ]
      const values = characters.map(
        c => `(${[...c].map(part => `chr(${part.codePointAt(0) ?? 0})`).join(' || ')})`,
      )
      const rows = `SELECT id, 1 AS v FROM (VALUES ${values.join(', ')}) AS t(id)`
      const played = await Played.open(harness())
      await played.run(rows)
      const doubled = await played.diff(`${rows} UNION ALL ${rows}`)
      expect(doubled.diff.invalidSamples.map(({ key }) => key ?? '').sort()).toEqual([...characters].sort())
      const gone = await played.run(`${rows} WHERE false`)
      expect([...gone.diff.removedSamples].sort()).toEqual([...characters].sort())
      expect(gone.changes.map(({ key, before }) => `${key}|${textOf(before?.['id'])}`).sort()).toEqual(
        characters.map(c => `${c}|${c}`).sort(),
      )
      const ended: string[] = []
      const end = (keys: readonly { readonly key: string }[]): Promise<void> =>
        Promise.resolve(void ended.push(...keys.map(({ key }) => key)))
      await played.state.endGone(Number.MAX_SAFE_INTEGER, end, { signal: new AbortController().signal })
      expect(ended.sort()).toEqual([...characters].sort())
      await played.state[Symbol.asyncDispose]()
    })
  })

  describe(`${name}: texts of every length stay in their rows`, TIMEOUT, () => {
    it.each([2047, 2048, 2049, 4095, 4096, 4097, 65_535, 65_536, 65_537])('among %i rows', async rows => {
      // Each text names its row. The lengths are those around 12 bytes, up to which DuckDB keeps a text in
      // place.
      const sql = `SELECT range::INTEGER AS id, CASE range % 5 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE left(chr(65279) || range || repeat('é', 20), (range % 17)::INTEGER) END AS v,
          chr(65279) || range AS w FROM range(${rows})`
      const { changes } = await changesOf(
        await (await harness().open({ name: 'lengths' })).diff(await requestFor(harness(), sql)),
      )
      expect(changes).toHaveLength(rows)
      const wrong = changes.filter(({ after }, index) => {
        const text = `\u{feff}${index}${'é'.repeat(20)}`.slice(0, index % 17)
        const v = index % 5 === 0 ? null : index % 5 === 1 ? '' : text
        return after?.['id'] !== index || after['v'] !== v || after['w'] !== `\u{feff}${index}`
      })
      expect(wrong.slice(0, 3)).toEqual([])
    })

    it.each([11, 12, 13, 65_535, 65_536, 65_537, 1_000_000])('of %i bytes', async bytes => {
      const sql = `SELECT range::INTEGER AS id, chr(65279) || repeat(chr(97 + range::INTEGER % 26), ${bytes - 3}) AS v FROM range(5)`
      const state = await harness().open({ name: 'sizes' })
      const { changes } = await changesOf(await state.diff(await requestFor(harness(), sql)))
      expect(changes.map(({ after }) => textOf(after?.['v']).length)).toEqual(Array(5).fill(bytes - 2))
      for (const [id, { after }] of changes.entries())
        expect(after?.['v'] === `\u{feff}${String.fromCharCode(97 + id).repeat(bytes - 3)}`).toBe(true)
      await state[Symbol.asyncDispose]()
    })
  })
}

function expectedOf(character: string): { readonly [column: string]: Value } {
  return Object.fromEntries(Object.entries(POSITIONS).map(([name, [, of]]) => [name, of(character)]))
}

function textOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : ''
}
