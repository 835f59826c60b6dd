/** Values of every type: the column's SQL over `x`, and for each SQL of `x` what JavaScript has to see. */
import { Decimal, JsonText } from '@sluice/contracts/values'

export const TYPE_VALUES: readonly (readonly [string, string, readonly (readonly [string, unknown])[]])[] = [
  [
    'BOOLEAN',
    'x::BOOLEAN',
    [
      ['true', true],
      ['false', false],
      ['NULL', null],
    ],
  ],
  [
    'TINYINT',
    'x::TINYINT',
    [
      ['-128', -128],
      ['127', 127],
      ['NULL', null],
    ],
  ],
  [
    'USMALLINT',
    'x::USMALLINT',
    [
      ['0', 0],
      ['65535', 65535],
    ],
  ],
  [
    'INTEGER',
    'x::INTEGER',
    [
      ['-2147483648', -2147483648],
      ['2147483647', 2147483647],
      ['NULL', null],
    ],
  ],
  ['UINTEGER', 'x::UINTEGER', [['4294967295', 4294967295]]],
  [
    'BIGINT, safe',
    'x::BIGINT',
    [
      ['9007199254740991', 9007199254740991],
      ['-9007199254740991', -9007199254740991],
      ['NULL', null],
    ],
  ],
  [
    'BIGINT, beyond',
    'x::BIGINT',
    [
      ['9223372036854775807', 9223372036854775807n],
      ['-9223372036854775808', -9223372036854775808n],
      ['9007199254740992', 9007199254740992n],
      ['1', 1],
      ['NULL', null],
    ],
  ],
  [
    'UBIGINT',
    'x::UBIGINT',
    [
      ['18446744073709551615', 18446744073709551615n],
      ['0', 0],
    ],
  ],
  [
    'HUGEINT',
    'x::HUGEINT',
    [
      ['99999999999999999999999999999999999999', 99999999999999999999999999999999999999n],
      ['-1', -1],
      ['NULL', null],
    ],
  ],
  [
    'FLOAT',
    'x::FLOAT',
    [
      ["'0.1'", 0.1],
      ["'nan'", NaN],
      // It has the bits of 0.0 / 0.0.
      ["'-nan'", NaN],
      ["'inf'", Infinity],
      ["'-inf'", -Infinity],
      ["'3.4028235e38'", 3.4028235e38],
      // DuckDB prints all digits of these.
      ["'448829.375'", 448829.38],
      ["'-150536.125'", -150536.13],
      ["'63093248'", 63093250],
      ["'0.0'", 0],
      ['NULL', null],
    ],
  ],
  [
    'DOUBLE',
    'x::DOUBLE',
    [
      ["'0.1'", 0.1],
      ["'1e300'", 1e300],
      ["'5e-324'", 5e-324],
      ['NULL', null],
    ],
  ],
  [
    'DOUBLE, not finite',
    'x::DOUBLE',
    [
      ["'nan'", NaN],
      // It has the bits of 0.0 / 0.0.
      ["'-nan'", NaN],
      ["'inf'", Infinity],
      ["'-inf'", -Infinity],
      ["'1.5'", 1.5],
      ['NULL', null],
    ],
  ],
  [
    'DOUBLE, signed zero',
    'x::DOUBLE',
    [
      ["'-0.0'", -0],
      ["'1.5'", 1.5],
    ],
  ],
  [
    'DECIMAL',
    'x::DECIMAL(12,2)',
    [
      ["'-12.5'", new Decimal('-12.50')],
      ["'0'", new Decimal('0.00')],
      ["'-0.01'", new Decimal('-0.01')],
      ['NULL', null],
    ],
  ],
  [
    'DECIMAL without whole digits',
    'x::DECIMAL(2,2)',
    [
      ["'0.05'", new Decimal('0.05')],
      ["'-0.5'", new Decimal('-0.50')],
    ],
  ],
  [
    'DECIMAL of 38 digits',
    'x::DECIMAL(38,10)',
    [["'1234567890123456789012345678.0123456789'", new Decimal('1234567890123456789012345678.0123456789')]],
  ],
  [
    'DECIMAL of 38 digits, all after the point',
    'x::DECIMAL(38,38)',
    [
      [
        "'-0.00000000000000000000000000000000000012'",
        new Decimal('-0.00000000000000000000000000000000000012'),
      ],
    ],
  ],
  [
    'DECIMAL of 20 digits',
    'x::DECIMAL(20,2)',
    [
      ["'-0.05'", new Decimal('-0.05')],
      ["'123456789012345678.90'", new Decimal('123456789012345678.90')],
      ['NULL', null],
    ],
  ],
  [
    'DECIMAL of 20 digits and scale 0',
    'x::DECIMAL(20,0)',
    [
      ["'12345678901234567890'", 12345678901234567890n],
      ["'-5'", -5],
    ],
  ],
  [
    'DECIMAL of scale 0',
    'x::DECIMAL(10,0)',
    [
      ["'5'", 5],
      ['NULL', null],
    ],
  ],
  [
    'VARCHAR',
    'x::VARCHAR',
    [
      ["''", ''],
      ['NULL', null],
      ["'a\"b\\c/''d'", 'a"b\\c/\'d'],
      ["'tab' || chr(9) || 'line' || chr(10) || chr(13)", 'tab\tline\n\r'],
      ["'null'", 'null'],
      ["'😀 emoji 👩‍👩‍👧'", '😀 emoji 👩‍👩‍👧'],
      ["'é' || chr(8232)", 'é\u2028'],
      ["'-1'", '-1'],
      ["repeat('é', 5000)", 'é'.repeat(5000)],
    ],
  ],
  [
    'VARCHAR with NUL',
    'x::VARCHAR',
    [
      ["'a' || chr(0) || 'b'", 'a\0b'],
      ['chr(0)', '\0'],
      ["'😀' || chr(0)", '😀\0'],
    ],
  ],
  [
    'BLOB',
    'x::BLOB',
    [
      ["'\\x00\\xFF\\x80'", Uint8Array.of(0, 255, 128)],
      ["''", new Uint8Array()],
      ['NULL', null],
    ],
  ],
  [
    'UUID',
    'x::UUID',
    [
      ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      ['NULL', null],
    ],
  ],
  [
    'DATE',
    'x::DATE',
    [
      ["'2024-02-29'", '2024-02-29'],
      ["'0044-03-15 (BC)'", '-000043-03-15'],
      ["'0001-12-31 (BC)'", '0000-12-31'],
      ["'10000-01-01'", '+010000-01-01'],
      ["'0005-01-01'", '0005-01-01'],
      ["'infinity'", 'infinity'],
      ["'-infinity'", '-infinity'],
      ['NULL', null],
    ],
  ],
  [
    'TIME',
    'x::TIME',
    [
      ["'12:34:56'", '12:34:56'],
      ["'12:34:56.500'", '12:34:56.5'],
      ["'12:34:56.000001'", '12:34:56.000001'],
      ["'24:00:00'", '24:00:00'],
      ['NULL', null],
    ],
  ],
  [
    'TIMESTAMP',
    'x::TIMESTAMP',
    [
      ["'2024-02-29 12:34:56.000001'", '2024-02-29T12:34:56.000001'],
      ["'2024-02-29'", '2024-02-29T00:00:00'],
      ["'0044-03-15 (BC) 01:02:03.5'", '-000043-03-15T01:02:03.5'],
      ["'12345-01-01 00:00:00'", '+012345-01-01T00:00:00'],
      ["'infinity'", 'infinity'],
      ["'-infinity'", '-infinity'],
      ['NULL', null],
    ],
  ],
  [
    'TIMESTAMPTZ',
    'x::TIMESTAMPTZ',
    [
      ["'2024-02-29 12:34:56.12+02'", '2024-02-29T10:34:56.12Z'],
      ["'0044-03-15 (BC) 01:02:03+00'", '-000043-03-15T01:02:03Z'],
      ["'infinity'", 'infinity'],
      ['NULL', null],
    ],
  ],
  ['TIMESTAMP_S', 'x::TIMESTAMP_S', [["'2024-02-29 12:34:56'", '2024-02-29T12:34:56']]],
  ['TIMESTAMP_NS', 'x::TIMESTAMP_NS', [["'2024-02-29 12:34:56.123456789'", '2024-02-29T12:34:56.123456789']]],
  [
    'INTERVAL',
    'x::INTERVAL',
    [
      ["'1 year 2 months 3 days 4 hours 5 minutes 6.5 seconds'", 'P1Y2M3DT4H5M6.5S'],
      ["'0 seconds'", 'PT0S'],
      ["'-13 months'", 'P-1Y-1M'],
      ["'-3665.5 seconds'", 'PT-1H-1M-5.5S'],
      ["'100 hours'", 'PT100H'],
      ["'30 days'", 'P30D'],
      ["'1 month -30 days'", 'P1M-30D'],
      ["'0.000001 seconds'", 'PT0.000001S'],
      ["'-0.5 seconds'", 'PT-0.5S'],
      ['NULL', null],
    ],
  ],
  [
    'ENUM',
    "x::ENUM('a', 'b')",
    [
      ["'a'", 'a'],
      ['NULL', null],
    ],
  ],
  [
    'JSON',
    'x::JSON',
    [
      ['\'{"b": 1.50,  "a":[1, null]}\'', new JsonText('{"b": 1.50,  "a":[1, null]}')],
      ["'null'", new JsonText('null')],
      ['\'"text"\'', new JsonText('"text"')],
      ['NULL', null],
    ],
  ],
  ['BIT', 'x::BIT', [["'0101'", '0101']]],
  [
    'LIST',
    'x::BIGINT[]',
    [
      ['[1, NULL, 9223372036854775807]', [1, null, 9223372036854775807n]],
      ['[]', []],
      ['NULL', null],
    ],
  ],
  [
    'LIST of LIST of DECIMAL',
    'x::DECIMAL(5,2)[][]',
    [['[[1.5], NULL, []]', [[new Decimal('1.50')], null, []]]],
  ],
  [
    'LIST of DOUBLE',
    'x::DOUBLE[]',
    [
      [
        "[0.1::DOUBLE, 'nan'::DOUBLE, '-nan'::DOUBLE, '-inf'::DOUBLE, NULL]",
        [0.1, NaN, NaN, -Infinity, null],
      ],
    ],
  ],
  [
    'LIST of FLOAT',
    'x::FLOAT[]',
    [["['448829.375', '-0.0', 'nan', '1e-45', NULL]", [448829.38, -0, NaN, 1e-45, null]]],
  ],
  ['LIST of JSON', 'x::JSON[]', [['[\'{"a": 1.0}\'::JSON, NULL]', [new JsonText('{"a": 1.0}'), null]]]],
  ['ARRAY', 'x::TINYINT[2]', [['[1, 2]', [1, 2]]]],
  [
    'STRUCT',
    'x::STRUCT(a BIGINT, "b ""q""" DATE[], c BLOB)',
    [
      [
        "{'a': 9223372036854775807, 'b \"q\"': [DATE '2024-01-01'], 'c': '\\xFF'::BLOB}",
        { a: 9223372036854775807n, 'b "q"': ['2024-01-01'], c: Uint8Array.of(255) },
      ],
      ['NULL', null],
      ["{'a': NULL, 'b \"q\"': NULL, 'c': NULL}", { a: null, 'b "q"': null, c: null }],
    ],
  ],
  [
    'LIST of STRUCT',
    'x::STRUCT(n INTEGER, t VARCHAR)[]',
    [["[{'n': 1, 't': 'a' || chr(0)}, NULL]", [{ n: 1, t: 'a\0' }, null]]],
  ],
  ['MAP', 'x::MAP(VARCHAR, INTEGER)', [["MAP {'a': 1, 'b': NULL}", new JsonText('{"a":1,"b":null}')]]],
  ['UNION', 'x::UNION(num INTEGER, str VARCHAR)', [['union_value(num := 2)', new JsonText('{"num":2}')]]],
]
