/**
 * The benchmark's data: a CSV of any number of rows of about 200 bytes, the same for the same numbers on
 * every machine. No value holds a comma, a quote or a line break, so that the simplest parser reads it right.
 * Run: node test/bench/rows.ts FILE COUNT [REVISION]
 */
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export const COLUMNS = ['id', 'email', 'name', 'city', 'balance', 'updated_at', 'note'] as const

const CITIES = ['Lyon', 'Porto', 'Gdansk', 'Bergen', 'Ghent', 'Turin', 'Malmo', 'Graz']
const WORDS = ['amber', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'grove', 'heath', 'inlet', 'juniper']
const NOTE_WORDS = 19
const ROWS_PER_CHUNK = 1000
const FIRST_MOMENT_MS = Date.UTC(2024, 0, 1)

/** Spreads an integer over 32 bits (the finalizer of MurmurHash3): neighbours get unrelated values. */
function scatter(value: number): number {
  let bits = value | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

function pick(words: readonly string[], seed: number): string {
  return words[seed % words.length] ?? ''
}

/**
 * Row `id`, without a line break. Another revision differs in all columns but the id and those derived from
 * it alone.
 */
function rowText(id: number, revision = 0): string {
  const seed = scatter(id)
  const edit = scatter(seed + revision)
  const name = `${pick(WORDS, seed)} ${pick(WORDS, seed >>> 8)}`
  const note = Array.from({ length: NOTE_WORDS }, (_, index) => pick(WORDS, scatter(edit + index))).join(' ')
  const balance = ((edit % 10_000_000) / 100).toFixed(2)
  const moment = new Date(FIRST_MOMENT_MS + (edit % 31_536_000) * 1000).toISOString()
  return `${id},customer-${id}@example.com,${name},${pick(CITIES, seed)},${balance},${moment},${note}`
}

/** Row `id` as a JSON document of texts. */
export function rowDocument(id: number): string {
  const values = rowText(id).split(',')
  return JSON.stringify(Object.fromEntries(COLUMNS.map((column, index) => [column, values[index] ?? ''])))
}

function* chunks(count: number, revision: number): Generator<string> {
  yield `${COLUMNS.join(',')}\n`
  for (let first = 1; first <= count; first += ROWS_PER_CHUNK) {
    const size = Math.min(ROWS_PER_CHUNK, count - first + 1)
    const rows = Array.from({ length: size }, (_, index) => rowText(first + index, revision))
    yield `${rows.join('\n')}\n`
  }
}

/** Writes header and rows 1 to `count`; an existing file is replaced. */
export async function writeRows(file: string, count: number, revision = 0): Promise<void> {
  await pipeline(Readable.from(chunks(count, revision)), createWriteStream(file))
}

if (import.meta.main) {
  const [file, count = '', revision = '0'] = process.argv.slice(2)
  if (file === undefined || !/^\d+$/.test(count) || !/^\d+$/.test(revision)) {
    console.error('usage: node test/bench/rows.ts FILE COUNT [REVISION]')
    process.exit(2)
  }
  await writeRows(file, Number(count), Number(revision))
}
