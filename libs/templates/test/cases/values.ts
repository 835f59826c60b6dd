import { Decimal, type Value } from '@sluice/contracts/values'
import type { RenderCase } from './case.ts'

const BYTES = new Uint8Array([0, 255, 16])

function nested(depth: number): Value {
  let value: Value = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

/** Each case says how a value prints, and how it is written in JSON. */
export const VALUE_CASES: readonly RenderCase[] = [
  { it: 'prints text as it is', liquid: '{{ v }}', row: { v: ' a"b\\c\n' }, gives: ' a"b\\c\n' },
  { it: 'prints null as nothing', liquid: '[{{ v }}]', row: { v: null }, gives: '[]' },
  { it: 'prints empty text as nothing', liquid: '[{{ v }}]', row: { v: '' }, gives: '[]' },
  { it: 'prints true and false', liquid: '{{ a }} {{ b }}', row: { a: true, b: false }, gives: 'true false' },
  { it: 'prints bytes in base64', liquid: '{{ v }}', row: { v: BYTES }, gives: 'AP8Q' },
  {
    it: 'prints a view of bytes, not what is around it',
    liquid: '{{ v }}',
    row: { v: BYTES.subarray(1) },
    gives: '/xA=',
  },
  { it: 'prints a list item by item', liquid: '{{ v }}', row: { v: ['a', 1, null, true] }, gives: 'a1true' },
  { it: 'prints a list in a list', liquid: '{{ v }}', row: { v: ['a', ['b', 'c']] }, gives: 'abc' },
  {
    it: 'prints a map as JSON',
    liquid: '{{ v }}',
    row: { v: { b: 1, a: 'x"' } },
    gives: '{"b":1,"a":"x\\""}',
  },
  {
    it: 'prints maps in a list as JSON',
    liquid: '{{ v }}',
    row: { v: [{ a: 1 }, { b: 2 }] },
    gives: '{"a":1}{"b":2}',
  },
  {
    it: 'prints a row as JSON',
    liquid: '{{ row }}',
    row: { id: 1, name: 'Ada', none: null },
    gives: '{"id":1,"name":"Ada","none":null}',
  },
  {
    it: 'prints the loop as JSON',
    liquid: '{% for i in (1..1) %}{{ forloop }}{% endfor %}',
    gives: '{"index":1,"index0":0,"rindex":1,"rindex0":0,"first":true,"last":true,"length":1}',
  },
  {
    it: 'writes text in JSON',
    liquid: '{{ v | json }}',
    row: { v: 'a"b\\c\n\t/é😀' },
    gives: '"a\\"b\\\\c\\n\\t/é😀"',
  },
  {
    it: 'writes control characters in JSON',
    liquid: '{{ v | json }}',
    row: { v: '\u0000\u001f\u007f' },
    gives: '"\\u0000\\u001f\u007f"',
  },
  {
    it: 'writes half a character in JSON as an escape',
    liquid: '{{ v | json }}',
    row: { v: 'a\ud800b' },
    gives: '"a\\ud800b"',
  },
  { it: 'writes null in JSON', liquid: '{{ v | json }}', row: { v: null }, gives: 'null' },
  { it: 'writes a missing value in JSON as null', liquid: '{{ missing | json }}', gives: 'null' },
  { it: 'writes a missing deeper value as null', liquid: '{{ row.a.b | json }}', gives: 'null' },
  {
    it: 'writes a missing value in a batch as null',
    liquid: '{{ missing | json }}',
    rows: [{ id: 1 }],
    gives: 'null',
  },
  { it: 'writes empty text in JSON', liquid: '{{ v | json }}', row: { v: '' }, gives: '""' },
  {
    it: 'writes true and false in JSON',
    liquid: '{{ a | json }}{{ b | json }}',
    row: { a: true, b: false },
    gives: 'truefalse',
  },
  { it: 'writes bytes in JSON as base64 text', liquid: '{{ v | json }}', row: { v: BYTES }, gives: '"AP8Q"' },
  {
    it: 'writes lists in JSON',
    liquid: '{{ v | json }}',
    row: { v: [1, 'a', null, [true]] },
    gives: '[1,"a",null,[true]]',
  },
  {
    it: 'writes empty lists and maps in JSON',
    liquid: '{{ a | json }}{{ b | json }}',
    row: { a: [], b: {} },
    gives: '[]{}',
  },
  {
    it: 'writes maps in JSON, fields in their order',
    liquid: '{{ v | json }}',
    row: { v: { z: 1, a: { y: [2] } } },
    gives: '{"z":1,"a":{"y":[2]}}',
  },
  {
    it: 'writes fields called __proto__ in JSON',
    liquid: '{{ v | json }}',
    row: { v: Object.fromEntries([['__proto__', { a: 1 }]]) },
    gives: '{"__proto__":{"a":1}}',
  },
  {
    it: 'asks no value how it wants to be written',
    liquid: '{{ v | json }}',
    row: { v: { toJSON: 'x', valueOf: 'y' } },
    gives: '{"toJSON":"x","valueOf":"y"}',
  },
  {
    it: 'writes a whole row in JSON',
    liquid: '{{ row | json }}',
    row: { id: 12345678901234567890n, price: new Decimal('1.50'), raw: BYTES },
    gives: '{"id":12345678901234567890,"price":1.50,"raw":"AP8Q"}',
  },
  {
    it: 'leaves what stands beside a row out of its JSON',
    liquid: '{% for row in rows %}{{ row | json }}{% endfor %}',
    rows: [{ id: 1 }],
    captured: { a: 1 },
    previous: { id: 0 },
    gives: '{"id":1}',
  },
  {
    it: 'writes all rows in JSON',
    liquid: '{{ rows | json }}',
    rows: [{ id: 1 }, { id: 2 }],
    gives: '[{"id":1},{"id":2}]',
  },
  { it: 'writes nil in JSON as null', liquid: '{{ nil | json }}', gives: 'null' },
  { it: 'writes fixed text in JSON', liquid: '{{ "a\'b" | json }}', gives: '"a\'b"' },
  {
    it: 'leaves JSON text from a column as it is',
    liquid: '{{ v }}',
    row: { v: '{"a": 1.0}' },
    gives: '{"a": 1.0}',
  },
  {
    it: 'knows jsonify and inspect as json',
    liquid: '{{ v | jsonify }}{{ v | inspect }}',
    row: { v: [1n] },
    gives: '[1][1]',
  },
  {
    it: 'rejects a value that is nested too deep',
    json: '{{ v | json }}',
    row: { v: nested(300) },
    error:
      'body.json: a value is nested deeper than 200 levels, and deeper values are not printed (line 1, column 1 of the template)',
  },
  {
    it: 'rejects a value that is nested too deep to be printed',
    json: '{{ v }}',
    row: { v: nested(300) },
    error:
      'body.json: a value is nested deeper than 200 levels, and deeper values are not printed (line 1, column 1 of the template)',
  },
]
