/** The columns that shapes are made of, each as SQL that all sources understand and as JavaScript. */
import { hash } from 'node:crypto'
import { isSelected, SELECTION_SQL, type Column } from './shape.ts'

/**
 * Each text begins with characters of two, three and four bytes of UTF-8, and a quote that JSON has to
 * escape.
 */
const SPICE = 'ä€😀"'
const SPICE_BYTES = Buffer.byteLength(SPICE)
const MD5_BYTES = 32

/** A text of about so many bytes, different in each row, column and revision. */
export function longText(name: string, bytes: number): Column {
  const times = Math.floor((bytes - SPICE_BYTES) / MD5_BYTES)
  return {
    name,
    sql: revision => `concat('${SPICE}', repeat(md5(concat(n, '-${name}-${revision}')), ${times}))`,
    json: (n, revision) => `"ä€😀\\"${hash('md5', `${n}-${name}-${revision}`).repeat(times)}"`,
  }
}

/** A few bytes. */
export function shortText(name: string): Column {
  return {
    name,
    sql: revision => `concat('${name}-', n, '-${revision}')`,
    json: (n, revision) => `"${name}-${n}-${revision}"`,
  }
}

/** A few bytes that a revision changes in scattered rows only. */
export function scatteredText(name: string): Column {
  const { scattered } = SELECTION_SQL
  return {
    name,
    sql: revision => `concat('${name}-', n, '-', case when ${scattered} then ${revision} else 0 end)`,
    json: (n, revision) => `"${name}-${n}-${isSelected('scattered', n) ? revision : 0}"`,
  }
}

/** The same in every revision, with as many columns of it as a table may want. */
export function shortTexts(count: number): readonly Column[] {
  return Array.from({ length: count }, (_, index) => shortText(`c${index}`))
}

export function nulls(name: string, type: string): Column {
  return { name, sql: () => `cast(null as ${type})`, json: () => 'null' }
}

/** One character: all that ASCII has but for NUL, so of at most 127 rows. */
export function oneByte(name: string): Column {
  return { name, sql: () => 'chr(cast(n as integer))', json: n => JSON.stringify(String.fromCharCode(n)) }
}

const FIRST_MOMENT = Date.UTC(2024, 0, 1)
const moment = (ms: number): string => new Date(FIRST_MOMENT + ms).toISOString()

/** Eight columns of types that keys have, for DuckDB. Only together they tell rows apart. */
export const EIGHT_KEYS: readonly Column[] = [
  { name: 'k1', sql: () => 'n % 7', json: n => String(n % 7) },
  { name: 'k2', sql: () => `concat('ä"/,', n // 7 % 11)`, json: n => `"ä\\"/,${Math.floor(n / 7) % 11}"` },
  {
    name: 'k3',
    sql: () => `date '2024-01-01' + cast(n // 77 % 13 as integer)`,
    json: n => `"${moment((Math.floor(n / 77) % 13) * 86_400_000).slice(0, 10)}"`,
  },
  {
    name: 'k4',
    sql: () => `cast(n // 1001 % 17 as decimal(20, 2)) - 0.01`,
    json: n => ((Math.floor(n / 1001) % 17) - 0.01).toFixed(2),
  },
  { name: 'k5', sql: () => 'n // 17017 % 2 = 0', json: n => String(Math.floor(n / 17_017) % 2 === 0) },
  {
    name: 'k6',
    sql: () => `cast(concat('1', lpad(cast(n // 34034 % 19 as varchar), 25, '0')) as hugeint)`,
    json: n => `1${String(Math.floor(n / 34_034) % 19).padStart(25, '0')}`,
  },
  {
    name: 'k7',
    sql: () => `timestamp '2024-01-01 00:00:00' + to_seconds(n // 646646)`,
    json: n => `"${moment(Math.floor(n / 646_646) * 1000).slice(0, 19)}"`,
  },
  { name: 'k8', sql: () => `''`, json: () => '""' },
]
