/** SQL for random values of every type, by the row's number and a seed. */

export interface RandomColumn {
  /** The type, which is the name of the column, too. */
  readonly type: string
  /** The type as a definition writes it, if that is not the name. */
  readonly as?: string
  readonly sql: (seed: number) => string
  /** Rows with such a column do not come by column. */
  readonly isNested?: boolean
}

let bits = 0

/** Another number with each call, and the same ones for the same column. */
export function nextBits(): number {
  return ++bits
}

/** DuckDB: 64 random bits of a row, others with each call. */
function u(seed: number): string {
  return `hash(i, ${seed}, ${nextBits()})`
}
const below = (seed: number, n: number | string): string => `(${u(seed)} % ${n})::BIGINT`
const signed = (seed: number): string => `(${u(seed)}::HUGEINT - 9223372036854775808)::BIGINT`
const huge = (seed: number): string => `(${signed(seed)}::HUGEINT * 18446744073709551616 + ${u(seed)})`
const sign = (seed: number): string => `if(${u(seed)} % 2 = 0, -1, 1)`
function oneOf(seed: number, values: readonly string[]): string {
  const cases = values.map((value, index) => `WHEN ${index} THEN ${value}`)
  return `CASE ${u(seed)} % ${values.length} ${cases.join(' ')} END`
}
const orNull = (seed: number, sql: string): string => `if(${u(seed)} % 17 = 0, NULL, ${sql})`

/** A text of so many digits, the first ones of which may be zeros, with a sign and a point. */
function decimal(seed: number, precision: number, scale: number): string {
  const all = `(lpad(${u(seed)}::VARCHAR, 20, '0') || lpad(${u(seed)}::VARCHAR, 20, '0'))`
  const digits = `lpad(substr(${all}, 1 + ${below(seed, 41)}, ${precision}), ${precision}, '0')`
  const whole = precision - scale
  return `(if(${u(seed)} % 2 = 0, '-', '') || list_transform([${digits}], lambda d: left(d, ${whole}) || '.' || substr(d, ${whole + 1}))[1])`
}

function float(seed: number): string {
  return oneOf(seed, [
    `${sign(seed)} * ${below(seed, 2 ** 24)} * pow(2, ${below(seed, 254)} - 149)`,
    `(${below(seed, 16_000_000)} - 8000000) / 8.0`,
    `(${below(seed, 2 ** 40)} - ${2 ** 39})::DOUBLE`,
    `${sign(seed)} * ${below(seed, 1_000_000)} / pow(10, ${below(seed, 12)})`,
    oneOf(seed, ['0.0', '-0.0', `'nan'::DOUBLE`, `'inf'::DOUBLE`, `'-inf'::DOUBLE`, '1e-45', '16777217']),
  ])
}

/** A struct prints as JSON, which has no number for others. */
const finite = (number: string): string => `if(isfinite(${number}), ${number}, 0)`

function double(seed: number): string {
  return oneOf(seed, [
    `${sign(seed)} * ${below(seed, '9007199254740992')} * pow(2, ${below(seed, 2045)} - 1074)`,
    `${signed(seed)}::DOUBLE`,
    `${huge(seed)}::DOUBLE`,
    `${signed(seed)} / pow(10, ${below(seed, 25)})`,
    oneOf(seed, [
      '0.0',
      '-0.0',
      `'nan'::DOUBLE`,
      `'inf'::DOUBLE`,
      `'-inf'::DOUBLE`,
      '5e-324',
      '9007199254740993',
    ]),
  ])
}

/** Microseconds since 1970. */
function micros(seed: number): string {
  return oneOf(seed, [
    `greatest(${signed(seed)}, -9223372022400000000)`,
    `${signed(seed)} // 2000`,
    `${below(seed, 4_000_000_000)} * 1000000`,
    `${below(seed, 4_000_000_000_000)} * 1000`,
  ])
}
const timestamp = (seed: number): string =>
  `if(${u(seed)} % 50 = 0, if(${u(seed)} % 2 = 0, TIMESTAMP 'infinity', TIMESTAMP '-infinity'), make_timestamp(${micros(seed)}))`
const date = (seed: number): string =>
  oneOf(seed, [
    `DATE '1970-01-01' + (${below(seed, 60_000)} - 30000)::INTEGER`,
    `DATE '1970-01-01' + (${below(seed, 4_000_000_000)} - 2000000000)::INTEGER`,
    `DATE '0001-01-01' - (${below(seed, 1000)})::INTEGER`,
    oneOf(seed, [`DATE 'infinity'`, `DATE '-infinity'`]),
  ])
const time = (seed: number): string =>
  oneOf(seed, [
    `TIME '00:00:00' + to_microseconds(${below(seed, 86_400_000_000)})`,
    `TIME '00:00:00' + to_seconds(${below(seed, 86_400)})`,
    `TIME '24:00:00'`,
  ])
const interval = (seed: number): string => {
  const part = (n: number) => oneOf(seed, ['0', `(${below(seed, 2 * n)} - ${n})`])
  return `(to_months((${part(20_000)})::INTEGER) + to_days((${part(40_000)})::INTEGER) + to_microseconds(${part(10 ** 15)}))`
}
const text = (seed: number): string =>
  oneOf(seed, [
    `''`,
    `substr(md5(${u(seed)}::VARCHAR), 1, (1 + ${below(seed, 30)})::INTEGER)`,
    `chr((1 + ${below(seed, 0xd7ff)})::INTEGER) || chr((${0xe000} + ${below(seed, 0x10_ffff - 0xe000)})::INTEGER)`,
    `${signed(seed)}::VARCHAR`,
    decimal(seed, 12, 3),
    `chr(0) || 'x'`,
    `',#"' || chr(92) || chr(10) || chr(13) || chr(9)`,
    oneOf(seed, [`'NaN'`, `'null'`, `'true'`, `'-0'`, `'1e5'`, `'01'`, `'2024-01-01'`]),
  ])
const blob = (seed: number): string =>
  `unhex(substr(md5(${u(seed)}::VARCHAR), 1, (2 * ${below(seed, 17)})::INTEGER))`
const json = (seed: number): string =>
  oneOf(seed, [
    `'{"b": 1.50,  "a":[1, null, ' || ${signed(seed)} || ']}'`,
    `(${signed(seed)}::VARCHAR || '.' || ${u(seed)})`,
    `to_json(${text(seed)})::VARCHAR`,
    `'null'`,
    `'[1e400, 12345678901234567890123456789012345678901]'`,
  ])
const uuid = (seed: number): string => `md5(${u(seed)}::VARCHAR)::UUID`
const list = (seed: number, of: (seed: number) => string, type: string): string =>
  `list_slice([${[1, 2, 3].map(() => orNull(seed, of(seed))).join(', ')}]::${type}[], 1, (${below(seed, 4)})::INTEGER)`

/** A column has the same values in each test of a seed. */
export function seeded(type: string, sql: (seed: number) => string): RandomColumn {
  return {
    type,
    sql(seed) {
      bits = [...type].reduce((sum, c) => (sum * 31 + (c.codePointAt(0) ?? 0)) % 1_000_003, 7) * 1000
      return sql(seed)
    },
  }
}
const column = (type: string, sql: (seed: number) => string): RandomColumn =>
  seeded(type, seed => orNull(seed, sql(seed)))
const nested = (type: string, sql: (seed: number) => string): RandomColumn => ({
  ...column(type, sql),
  isNested: true,
})

export const DUCKDB_COLUMNS: readonly RandomColumn[] = [
  column('boolean', seed => `${u(seed)} % 2 = 0`),
  column('tinyint', seed => `(${below(seed, 256)} - 128)::TINYINT`),
  column('integer', seed => `(${below(seed, 2 ** 32)} - ${2 ** 31})::INTEGER`),
  column('uinteger', seed => `${below(seed, 2 ** 32)}::UINTEGER`),
  column('safe bigint', seed => `(${below(seed, '18014398509481983')} - 9007199254740991)`),
  column('float', seed => `(${float(seed)})::FLOAT`),
  column('whole float', seed => `(${below(seed, 2 ** 40)} - ${2 ** 39})::FLOAT`),
  column('double', seed => double(seed)),
  column('whole double', seed => `(${below(seed, 2 ** 40)} - ${2 ** 39})::DOUBLE`),
  ...[
    [4, 1],
    [9, 2],
    [15, 2],
    [15, 15],
  ].map(([p = 0, s = 0]) =>
    column(`decimal(${p},${s})`, seed => `${decimal(seed, p, s)}::DECIMAL(${p},${s})`),
  ),
  column('varchar', text),
  column('json', seed => `(${json(seed)})::JSON`),
  column('uuid', uuid),
  column('date', date),
  column('time', time),
  column('timestamp', seed => `make_timestamp(${below(seed, 4e15)} - 2000000000000000)`),
  column('timestamptz', seed => `make_timestamp(${below(seed, 4e15)} - 2000000000000000)::TIMESTAMPTZ`),
  column('timestamp_s', seed => `make_timestamp(${below(seed, 4e9)} * 1000000)::TIMESTAMP_S`),
  column('timestamp_ms', seed => `make_timestamp(${below(seed, 4e12)} * 1000)::TIMESTAMP_MS`),
  column(
    'timestamp_ns',
    seed => `make_timestamp_ns(${oneOf(seed, [signed(seed), `${below(seed, 4e9)} * 1000000000`])})`,
  ),
  column('interval', interval),
  column('bit', seed => `bin(${u(seed)})::BIT`),
  column('enum', seed => `${oneOf(seed, [`'a'`, `'b c'`, `''`])}::ENUM('a', 'b c', '')`),
  column(
    'timetz',
    seed => `((${time(seed)})::VARCHAR || ${oneOf(seed, [`'+05:30'`, `'-11'`, `'+00'`])})::TIMETZ`,
  ),
  column(
    'time_ns',
    seed =>
      `('12:34:' || lpad((${below(seed, 60)})::VARCHAR, 2, '0') || '.' || lpad((${below(seed, 1e9)})::VARCHAR, 9, '0'))::TIME_NS`,
  ),
  column('bignum', seed => `(${huge(seed)}::VARCHAR || ${u(seed)})::BIGNUM`),
  column('map', seed => `MAP {${text(seed)}: ${float(seed)}::FLOAT, 'z\0': NULL}`.replace('\0', '')),
  column('union', seed =>
    oneOf(seed, [
      `union_value(num := (${signed(seed)}))::UNION(num BIGINT, str VARCHAR)`,
      `union_value(str := (${text(seed)}))::UNION(num BIGINT, str VARCHAR)`,
    ]),
  ),
  column('variant', seed =>
    oneOf(seed, [
      `(${float(seed)})::FLOAT::VARIANT`,
      `(${text(seed)})::VARIANT`,
      `{'a': ${decimal(seed, 9, 2)}::DECIMAL(9,2)}::VARIANT`,
    ]),
  ),
  nested('bigint', signed),
  nested('ubigint', u),
  nested('hugeint', seed => `(${huge(seed)} // 10)`),
  nested('uhugeint', seed => `abs(${huge(seed)} // 10)::UHUGEINT`),
  ...[
    [18, 3],
    [19, 2],
    [20, 0],
    [38, 0],
    [38, 10],
    [38, 38],
  ].map(([p = 0, s = 0]) =>
    nested(`decimal(${p},${s})`, seed => `${decimal(seed, p, s)}::DECIMAL(${p},${s})`),
  ),
  nested('far timestamp', timestamp),
  nested('far timestamptz', seed => `${timestamp(seed)}::TIMESTAMPTZ`),
  nested('blob', blob),
  nested('float[]', seed => list(seed, float, 'FLOAT')),
  nested('double[]', seed => list(seed, double, 'DOUBLE')),
  nested('hugeint[]', seed => list(seed, s => `(${huge(s)} // 10)`, 'HUGEINT')),
  nested('decimal[]', seed => list(seed, s => decimal(s, 19, 2), 'DECIMAL(19,2)')),
  nested('varchar[]', seed => list(seed, text, 'VARCHAR')),
  nested('timestamptz[]', seed => list(seed, timestamp, 'TIMESTAMPTZ')),
  nested('date[]', seed => list(seed, date, 'DATE')),
  nested('interval[]', seed => list(seed, interval, 'INTERVAL')),
  nested('json[]', seed => list(seed, json, 'JSON')),
  nested('uuid[]', seed => list(seed, uuid, 'UUID')),
  {
    ...seeded(
      'array',
      seed => `${orNull(seed, `[(${float(seed)})::FLOAT, (${float(seed)})::FLOAT]`)}::FLOAT[2]`,
    ),
    isNested: true,
  },
  nested(
    'struct',
    seed =>
      `{'f': ${orNull(seed, `(${finite(float(seed))})::FLOAT`)}, 'b "q"': ${list(seed, blob, 'BLOB')}, 's': {'t': ${orNull(seed, text(seed))}}}`,
  ),
]
