/** SQL for random values of every type of PostgreSQL and MariaDB. */
import { nextBits, type RandomColumn, seeded } from './random-values.ts'

/** PostgreSQL: a random number below 2^53 of a row. */
const p = (seed: number): string =>
  `(('x' || substr(md5(i || '-${seed}-${nextBits()}'), 1, 13))::bit(52)::bigint)`
const pOneOf = (seed: number, values: readonly string[]): string =>
  `CASE ${p(seed)} % ${values.length} ${values.map((value, index) => `WHEN ${index} THEN ${value}`).join(' ')} END`
const pOrNull = (seed: number, sql: string): string => `CASE WHEN ${p(seed)} % 17 > 0 THEN ${sql} END`
const pDigits = (seed: number, digits: number): string =>
  `(CASE WHEN ${p(seed)} % 2 = 0 THEN '-' ELSE '' END || right('0' || ${Array.from({ length: Math.ceil(digits / 15) }, () => `lpad(${p(seed)}::text, 15, '0')`).join(' || ')}, (1 + ${p(seed)} % ${digits})::int))`
const pDecimal = (seed: number, precision: number, scale: number): string =>
  `(${pDigits(seed, precision)} || 'e-${scale}')::numeric(${precision},${scale})`
const pFloat = (seed: number): string =>
  pOneOf(seed, [
    `(CASE WHEN ${p(seed)} % 2 = 0 THEN -1 ELSE 1 END * (1 + ${p(seed)} % 16777215)::float8 * power(2::float8, (${p(seed)} % 254 - 149)::float8))::real`,
    `((${p(seed)} % 16000000 - 8000000) / 8.0)::real`,
    `(${p(seed)} % 1099511627776)::real`,
    pOneOf(seed, [`'NaN'`, `'-0'`, `'0'`, `'Infinity'`, `'-Infinity'`, `'1e-45'`]) + '::real',
  ])
const pDouble = (seed: number): string =>
  pOneOf(seed, [
    `(1 + ${p(seed)})::float8 * power(2::float8, (${p(seed)} % 2000 - 1040)::float8)`,
    `((${p(seed)} % 16000000 - 8000000) / 8.0)::float8`,
    `(${p(seed)})::float8 / 1000`,
    pOneOf(seed, [`'NaN'`, `'-0'`, `'0'`, `'Infinity'`, `'-Infinity'`, `'5e-324'`]) + '::float8',
  ])
const pTimestamp = (seed: number): string =>
  pOneOf(seed, [
    `timestamp '1970-01-01' + (${p(seed)} % 4000000000) * interval '1 second' + (${p(seed)} % 1000000) * interval '1 microsecond'`,
    `timestamp '4713-01-01 BC' + (${p(seed)} % 100000000) * interval '1 day' + (${p(seed)} % 1000000) * interval '1 microsecond'`,
    `timestamp 'infinity'`,
    `timestamp '-infinity'`,
  ])
const pDate = (seed: number): string =>
  pOneOf(seed, [
    `date '1970-01-01' + (${p(seed)} % 30000)::int`,
    `date '4713-01-01 BC' + (${p(seed)} % 2000000000)::int`,
    `date 'infinity'`,
  ])
const pText = (seed: number): string =>
  pOneOf(seed, [
    `''`,
    `substr(md5('${seed}' || i), 1, (${p(seed)} % 30)::int)`,
    `chr((1 + ${p(seed)} % 55000)::int) || E'\\t\\\\N\\n' || chr((57344 + ${p(seed)} % 1000000)::int)`,
    `(${p(seed)})::text`,
  ])
const pInterval = (seed: number): string =>
  `make_interval(months => (${p(seed)} % 20000 - 10000)::int, days => (${p(seed)} % 2000 - 1000)::int, secs => (${p(seed)} % 100000000000 - 50000000000) / 1e6)`
const pColumn = (type: string, sql: (seed: number) => string): RandomColumn =>
  seeded(type, seed => pOrNull(seed, sql(seed)))
const pNested = (type: string, sql: (seed: number) => string): RandomColumn => ({
  ...pColumn(type, sql),
  isNested: true,
})

export const POSTGRES_COLUMNS: readonly RandomColumn[] = [
  pColumn('boolean', seed => `${p(seed)} % 2 = 0`),
  pColumn('smallint', seed => `(${p(seed)} % 65536 - 32768)::smallint`),
  pColumn('integer', seed => `(${p(seed)} % 4294967296 - 2147483648)::int`),
  pColumn('safe bigint', p),
  pColumn('oid', seed => `(${p(seed)} % 4294967296)::oid`),
  pColumn('numeric(9,2)', seed => pDecimal(seed, 9, 2)),
  pColumn('numeric(15,15)', seed => pDecimal(seed, 15, 15)),
  pColumn('numeric(3,-3)', seed => `(${p(seed)} % 999000)::numeric(3,-3)`),
  pColumn('numeric', seed =>
    pOneOf(seed, [
      `(${pDigits(seed, 60)} || 'e-20')::numeric`,
      `'NaN'::numeric`,
      `'Infinity'::numeric`,
      `(${p(seed)} / 1000)::numeric(20,3)::numeric`,
    ]),
  ),
  pColumn('numeric(60,10)', seed => pDecimal(seed, 45, 10)),
  pColumn('real', pFloat),
  pColumn('double', pDouble),
  pColumn('text', pText),
  pColumn('char(7)', seed => `substr(${pText(seed)}, 1, 7)::char(7)`),
  pColumn('uuid', seed => `md5('${seed}-' || i)::uuid`),
  pColumn('date', pDate),
  pColumn('time', seed => `time '00:00' + (${p(seed)} % 86400000000) * interval '1 microsecond'`),
  pColumn(
    'timetz',
    seed =>
      `((time '00:00' + (${p(seed)} % 86400000000) * interval '1 microsecond')::text || '+05:30')::timetz`,
  ),
  pColumn(
    'timestamp',
    seed => `timestamp '1970-01-01' + (${p(seed)} % 4000000000000000) * interval '1 microsecond'`,
  ),
  pColumn(
    'timestamptz',
    seed => `timestamptz '1970-01-01 00:00+00' + (${p(seed)} % 4000000000000000) * interval '1 microsecond'`,
  ),
  pColumn('interval', pInterval),
  pColumn('json', seed => `('{"b": 1.50,  "a":[1, null, ' || ${p(seed)} || ', 1e400]}')::json`),
  pColumn('jsonb', seed => `jsonb_build_object('t', ${pText(seed)}, 'd', ${pDecimal(seed, 30, 10)})`),
  pColumn('money', seed => `(${p(seed)} % 100000000 / 100.0)::numeric::money`),
  pColumn('bits', seed => `(${p(seed)} % 1024)::int::bit(10)`),
  pColumn('range', seed => `int4range((${p(seed)} % 100)::int, (100 + ${p(seed)} % 100)::int)`),
  pColumn('inet', seed => `inet '10.0.0.0' + (${p(seed)} % 1000000)`),
  pColumn('composite', seed => `ROW(${p(seed)}, ${pText(seed)}, ${pFloat(seed)})::random_row`),
  pNested('bigint', seed => `(${p(seed)} * 2048 - ${p(seed)})`),
  pNested('numeric(18,3)', seed => pDecimal(seed, 18, 3)),
  pNested('numeric(20,2)', seed => pDecimal(seed, 20, 2)),
  pNested('numeric(38,10)', seed => pDecimal(seed, 38, 10)),
  pNested('numeric(38,38)', seed => pDecimal(seed, 38, 38)),
  pNested('far timestamp', pTimestamp),
  pNested('far timestamptz', seed => `(${pTimestamp(seed)}) AT TIME ZONE 'UTC'`),
  pNested('bytea', seed => `decode(substr(md5('${seed}-' || i), 1, (${p(seed)} % 16)::int * 2), 'hex')`),
  pNested('real[]', seed => `ARRAY[${pFloat(seed)}, NULL, ${pFloat(seed)}]`),
  pNested('float8[]', seed => `ARRAY[${pDouble(seed)}, NULL, ${pDouble(seed)}]`),
  pNested('numeric[]', seed => `ARRAY[${pDecimal(seed, 20, 2)}, NULL]`),
  pNested('any numeric[]', seed => `ARRAY[${pDigits(seed, 50)}::numeric, 'NaN'::numeric]`),
  pNested('text[]', seed => `ARRAY[${pText(seed)}, NULL, ${pText(seed)}]`),
  pNested('timestamptz[]', seed => `ARRAY[(${pTimestamp(seed)}) AT TIME ZONE 'UTC']`),
  pNested('date[]', seed => `ARRAY[${pDate(seed)}]`),
  pNested('interval[]', seed => `ARRAY[${pInterval(seed)}]`),
  pNested('json[]', seed => `ARRAY[('{"b": 1.50,  "a":[1, ' || ${p(seed)} || ']}')::json]`),
]

/** MariaDB: a random number below 2^52 of a row. */
const m = (seed: number): string =>
  `CAST(CONV(SUBSTR(MD5(CONCAT(seq, '-${seed}-${nextBits()}')), 1, 13), 16, 10) AS SIGNED)`
const mOneOf = (seed: number, values: readonly string[]): string =>
  `CASE ${m(seed)} % ${values.length} ${values.map((value, index) => `WHEN ${index} THEN ${value}`).join(' ')} END`
const mDecimal = (seed: number, precision: number, scale: number): string => {
  const digits = Array.from(
    { length: Math.ceil(precision / 15) },
    () => `LPAD(${m(seed)} % 1000000000000000, 15, '0')`,
  )
  const whole = `RIGHT(CONCAT(${digits.join(', ')}), ${precision})`
  return `CONCAT(IF(${m(seed)} % 2 = 0, '-', ''), INSERT(${whole}, ${precision - scale + 1}, 0, '.'))`
}
const mFloat = (seed: number): string =>
  mOneOf(seed, [
    `IF(${m(seed)} % 2 = 0, -1, 1) * (${m(seed)} % 16777216) * POW(2, ${m(seed)} % 254 - 149)`,
    `(${m(seed)} % 16000000 - 8000000) / 8e0`,
    `${m(seed)} % 1099511627776 + 0e0`,
    mOneOf(seed, ['0e0', '-0e0', '1e-45', '3.4028234e38', '0.1e0']),
  ])
const mDouble = (seed: number): string =>
  mOneOf(seed, [
    `IF(${m(seed)} % 2 = 0, -1, 1) * ${m(seed)} * POW(2, ${m(seed)} % 2000 - 1050)`,
    `(${m(seed)} % 16000000 - 8000000) / 8e0`,
    `${m(seed)} / 1e3`,
    mOneOf(seed, ['0e0', '-0e0', '5e-324', '1.7976931348623157e308']),
  ])
const mText = (seed: number): string =>
  mOneOf(seed, [
    `''`,
    `SUBSTR(MD5(seq), 1, ${m(seed)} % 20)`,
    `CONCAT(CHAR(1 + ${m(seed)} % 127 USING utf8mb4), '\\t\\\\N\\n\\0😀')`,
    `${m(seed)}`,
  ])
const mColumn = (type: string, sql: (seed: number) => string, as?: string): RandomColumn => ({
  ...seeded(type, seed => `IF(${m(seed)} % 17 = 0, NULL, ${sql(seed)})`),
  ...(as === undefined ? {} : { as }),
})
const mNested = (type: string, sql: (seed: number) => string, as?: string): RandomColumn => ({
  ...mColumn(type, sql, as),
  isNested: true,
})
const mTime = (seed: number): string =>
  `SEC_TO_TIME(${m(seed)} % 6000000 - 3000000 + (${m(seed)} % 1000000) / 1000000)`
const mDatetime = (seed: number): string =>
  mOneOf(seed, [
    `TIMESTAMPADD(MICROSECOND, ${m(seed)} % 1000000, TIMESTAMPADD(SECOND, ${m(seed)} % 100000000000, '1000-01-01'))`,
    `TIMESTAMPADD(SECOND, ${m(seed)} % 4000000000, '1970-01-01')`,
    `'0000-00-00'`,
    `'2024-02-00'`,
  ])

export const MARIADB_COLUMNS: readonly RandomColumn[] = [
  mColumn('tinyint', seed => `${m(seed)} % 256 - 128`),
  mColumn('int unsigned', seed => `${m(seed)} % 4294967296`),
  mColumn('safe bigint', m, 'BIGINT'),
  mColumn('float', mFloat),
  mColumn('double', mDouble),
  mColumn('decimal(9,2)', seed => mDecimal(seed, 9, 2)),
  mColumn('decimal(15,15)', seed => mDecimal(seed, 15, 15)),
  mColumn('decimal(50,10)', seed => mDecimal(seed, 50, 10)),
  mColumn('date', seed => `DATE(${mDatetime(seed)})`),
  mColumn('time(6)', mTime),
  mColumn('time', mTime),
  mColumn('datetime(6)', mDatetime),
  mColumn(
    'timestamp(6)',
    seed => `TIMESTAMPADD(SECOND, ${m(seed)} % 2000000000, '1970-01-02')`,
    'TIMESTAMP(6) NULL',
  ),
  mColumn('year', seed => `1901 + ${m(seed)} % 254`),
  mColumn('text', mText, 'TEXT CHARACTER SET utf8mb4'),
  mColumn('enum', seed => mOneOf(seed, [`'a'`, `'b c'`]), `ENUM('a', 'b c')`),
  mColumn('set', seed => mOneOf(seed, [`'a'`, `'a,b'`, `''`]), `SET('a', 'b')`),
  mColumn('bit(10)', seed => `${m(seed)} % 1024`),
  mColumn('json', seed => `CONCAT('{"b": 1.50,  "a":[1, ', ${m(seed)}, ', 1e400]}')`),
  mColumn('uuid', seed => `MD5(CONCAT(seq, '-${seed}'))`),
  mColumn('inet6', seed => `CONCAT('::', HEX(${m(seed)} % 65536))`),
  mNested('bigint', seed => `(${m(seed)} * 2048 - ${m(seed)})`),
  mNested('bigint unsigned', seed => `CAST(${m(seed)} AS UNSIGNED) * 4096`),
  mNested('decimal(18,3)', seed => mDecimal(seed, 18, 3)),
  mNested('decimal(20,2)', seed => mDecimal(seed, 20, 2)),
  mNested('decimal(38,10)', seed => mDecimal(seed, 38, 10)),
  mNested('decimal(38,0)', seed => mDecimal(seed, 38, 0)),
  mNested('blob', seed => `UNHEX(SUBSTR(MD5(seq), 1, 2 * (${m(seed)} % 16)))`),
]
