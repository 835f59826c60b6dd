/**
 * Every character reaches the extract as it is: alone in a value, before other characters, and after them.
 * The rows begin with U+FEFF, which would be a byte order mark at the start of a file.
 */
import { DuckDBInstance } from '@duckdb/node-api'
import { expect } from 'vitest'

/** In planes 4 to 13 no character is assigned: of these, all but the first and the last are left out. */
export const UNASSIGNED = { from: 0x40100, to: 0xdfeff }
const isLeftOut = (point: number): boolean => point >= UNASSIGNED.from && point <= UNASSIGNED.to

/** The code points to try, with U+FEFF first. Surrogates are left out, since they are not characters. */
export function codePoints({ from = 0, without = [] as readonly number[] } = {}): readonly number[] {
  const points = [0xfeff]
  for (let point = from; point < 0x110000; point++)
    if (
      (point < 0xd800 || point > 0xdfff) &&
      !isLeftOut(point) &&
      point !== 0xfeff &&
      !without.includes(point)
    )
      points.push(point)
  return points
}

/** The values of a row, by the character. */
export const VALUES = {
  ahead: (c: string) => `${c}x`,
  alone: (c: string) => c,
  behind: (c: string) => `some text before${c}`,
}

/** Checks that an extract has a row for each code point, with the columns of `VALUES` and `code`. */
export async function expectEveryCharacter(file: string, points: readonly number[]): Promise<void> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    const wrong = `ahead IS DISTINCT FROM chr(code::INTEGER) || 'x' OR alone IS DISTINCT FROM chr(code::INTEGER)
      OR behind IS DISTINCT FROM 'some text before' || chr(code::INTEGER)`
    const reader = await connection.runAndReadAll(
      `SELECT count(*)::INTEGER AS rows, count(DISTINCT code)::INTEGER AS codes, list(code::INTEGER ORDER BY code) FILTER (${wrong})[:10] AS wrong FROM rows`,
    )
    const [found] = reader.getRowObjectsJson()
    expect(found).toEqual({ rows: points.length, codes: points.length, wrong: null })
    // Compare DuckDB's chr() with JavaScript's characters.
    const some = await connection.runAndReadAll(
      'SELECT code::INTEGER, encode(ahead) FROM rows WHERE code::INTEGER % 997 = 0 OR code::INTEGER = 65279',
    )
    for (const [code, ahead] of some.getRowsJson())
      expect(ahead).toBe(escaped(Buffer.from(`${String.fromCodePoint(Number(code))}x`)))
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** As DuckDB prints bytes. */
function escaped(bytes: Buffer): string {
  const isPlain = (byte: number): boolean =>
    byte >= 32 && byte < 127 && !`"'\\`.includes(String.fromCharCode(byte))
  return [...bytes]
    .map(byte =>
      isPlain(byte) ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('')
}
