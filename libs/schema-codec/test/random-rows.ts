/**
 * Random columns and rows for tests, the same for the same seed: every type, nested, with the values at which
 * code breaks. Values are in the one form that contracts/values.ts gives them, so that they survive a codec
 * unchanged.
 */
import {
  Decimal,
  JsonText,
  type Column,
  type ColumnType,
  type Row,
  type Value,
} from '@sluice/contracts/values'
import { randomFrom } from '@sluice/testkit/random'
import { decimalText } from '../src/decimal-bytes.ts'
import { dateOfDays, timeOfMicros, MICROS_PER_DAY } from '../src/temporal-text.ts'

export class Random {
  readonly #random: ReturnType<typeof randomFrom>

  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  fraction(): number {
    return this.#random.next()
  }

  below(limit: number): number {
    return this.#random.below(limit)
  }

  bits(count: number): bigint {
    let number = 0n
    for (let i = 0; i < count; i++) number = (number << 1n) | BigInt(this.below(2))
    return number
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0]
  }
}

const SCALARS: readonly [ColumnType, ...ColumnType[]] = [
  { kind: 'boolean' },
  { kind: 'integer' },
  { kind: 'long' },
  { kind: 'float' },
  { kind: 'double' },
  { kind: 'text' },
  { kind: 'bytes' },
  { kind: 'uuid' },
  { kind: 'date' },
  { kind: 'time' },
  { kind: 'interval' },
  { kind: 'json' },
  { kind: 'timestamp', zone: false },
  { kind: 'timestamp', zone: true },
  { kind: 'decimal', precision: 38, scale: 0 },
  { kind: 'decimal', precision: 9, scale: 2 },
  { kind: 'decimal', precision: 38, scale: 38 },
  { kind: 'decimal', precision: 18, scale: 3 },
]

const NAMES: readonly [string, ...string[]] = [
  'id',
  'First Name',
  'é',
  '_x41_',
  '_x',
  '__x__',
  'class',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'a.b',
  'it\'s "quoted" `${x}` \\',
  'line\nbreak\u2028',
  '😀',
  '2nd',
  '',
  'tap',
  'record',
]

/** One column of each scalar type and some nested ones, in any order, with all kinds of names. */
export function randomColumns(random: Random): readonly Column[] {
  const types = [...SCALARS, ...SCALARS.slice(0, 5).map(() => randomType(random, 3))]
  const ordered = types
    .map(type => ({ type, place: random.fraction() }))
    .toSorted((a, b) => a.place - b.place)
  return distinctNames(ordered.length, random).map((name, i) => ({
    name,
    type: ordered[i]?.type ?? SCALARS[0],
  }))
}

function distinctNames(count: number, random: Random): readonly string[] {
  const names = new Set<string>()
  while (names.size < count) {
    names.add(random.below(3) === 0 ? `${random.pick(NAMES)}${random.below(9)}` : random.pick(NAMES))
    if (names.size >= NAMES.length) names.add(`c_${names.size}`)
  }
  return [...names]
}

function randomType(random: Random, depth: number): ColumnType {
  const choice = depth === 0 ? 2 : random.below(3)
  if (choice === 0) return { kind: 'list', of: randomType(random, depth - 1) }
  if (choice === 2) return random.pick(SCALARS)
  const fields = distinctNames(1 + random.below(4), random)
  return { kind: 'struct', fields: fields.map(name => ({ name, type: randomType(random, depth - 1) })) }
}

export function randomRow(columns: readonly Column[], random: Random): Row {
  return Object.fromEntries(columns.map(({ name, type }) => [name, randomValue(type, random)]))
}

function randomValue(type: ColumnType, random: Random): Value {
  if (random.below(6) === 0) return null
  const { kind } = type
  switch (kind) {
    case 'boolean':
      return random.below(2) === 0
    case 'integer':
      return random.pick([
        0,
        -1,
        2 ** 31 - 1,
        -(2 ** 31),
        random.below(2 ** 32) - 2 ** 31,
        random.below(200) - 100,
      ])
    case 'long':
      return safe(BigInt.asIntN(64, random.bits(1 + random.below(64)) * random.pick([1n, -1n])))
    case 'float':
      return random.pick([
        ...SPECIAL,
        0.1,
        3.4028235e38,
        1e-45,
        Number(Math.fround(random.fraction()).toPrecision(6)),
      ])
    case 'double':
      return random.pick([...SPECIAL, 0.1, Number.MAX_VALUE, Number.MIN_VALUE, random.fraction() * 1e9])
    case 'text':
      return randomText(random)
    case 'json':
      return new JsonText(random.pick(['null', '{"a": 1.10, "a": 2}', `[ ${random.below(1000)} ]`]))
    case 'interval':
      return random.pick(['PT0S', 'P1Y2M3DT4H5M6.5S', '-P1D'])
    case 'bytes':
      return Uint8Array.from({ length: random.below(40) }, () => random.below(256))
    case 'uuid':
      return random
        .bits(128)
        .toString(16)
        .padStart(32, '0')
        .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    case 'date':
      return random.pick([
        ...INFINITIES,
        dateOfDays(random.below(4_294_967_293) - 2_147_483_646),
        dateOfDays(random.below(40_000)),
      ])
    case 'time':
      return random.pick([
        '24:00:00',
        '00:00:00',
        timeOfMicros(random.below(MICROS_PER_DAY)),
        timeOfMicros(random.below(86_400) * 1e6),
      ])
    case 'timestamp':
      return randomTimestamp(type.zone, random)
    case 'decimal':
      return randomDecimal(type.precision, type.scale, random)
    case 'list':
      return Array.from({ length: random.below(5) }, () => randomValue(type.of, random))
    case 'struct':
      return randomRow(type.fields, random)
    default:
      throw new Error(`no random value of kind ${String(kind satisfies never)}`)
  }
}

const SPECIAL = [
  0,
  -0,
  1,
  -2.5,
  1e10,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
] as const
const INFINITIES = ['infinity', '-infinity'] as const

function safe(number: bigint): number | bigint {
  return Number.isSafeInteger(Number(number)) ? Number(number) : number
}

function randomText(random: Random): string {
  const alphabet = random.pick([
    ['a', 'b', ' '],
    ['a', 'é', '€', '😀', '\0', '"'],
  ])
  const length = random.pick([0, 1, 5, 12, 13, 39, 40, 41, 63, 64, 65, 200, 2729, 2730, 2731, 9000])
  const [first = '', ...others] = alphabet
  return Array.from({ length }, () => random.pick([first, ...others])).join('')
}

/** The days on both ends of what 64 bits of microseconds hold. */
const LAST_DAY = 106_751_990

function randomTimestamp(zone: boolean, random: Random): string {
  if (random.below(10) === 0) return random.pick(INFINITIES)
  const days = random.pick([random.below(40_000), random.below(2 * LAST_DAY) - LAST_DAY, -70_000, 2_932_896])
  const time = timeOfMicros(random.pick([0, random.below(86_400) * 1e6, random.below(MICROS_PER_DAY)]))
  return `${dateOfDays(days)}T${time}${zone ? 'Z' : ''}`
}

function randomDecimal(precision: number, scale: number, random: Random): Value {
  const limit = 10n ** BigInt(1 + random.below(precision))
  const unscaled = (random.bits(130) % limit) * random.pick([1n, -1n])
  return scale === 0 ? safe(unscaled) : new Decimal(decimalText(unscaled, scale))
}
