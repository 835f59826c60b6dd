import { Decimal, JsonText } from '@sluice/contracts/values'
import type { RenderCase } from '../case.ts'

const ROW = {
  id: 7,
  first: 'Ada',
  last: 'Lovelace "L"',
  street: 'Str. 1',
  zip: '01010',
  tag1: 'a',
  tag2: null,
}

/** Bodies made of columns: the field mapper, a column that is the payload, and envelopes. */
export const MAPPED_CASES: readonly RenderCase[] = [
  {
    it: 'maps columns to fields',
    body: { fields: { customer_id: 'id', name: 'first' } },
    row: ROW,
    gives: '{"customer_id":7,"name":"Ada"}',
  },
  {
    it: 'maps a batch to a list',
    body: { fields: { n: 'id' } },
    rows: [{ id: 1 }, { id: 2 }],
    gives: '[{"n":1},{"n":2}]',
  },
  {
    it: 'maps a batch of one row to a list',
    body: { fields: { n: 'id' } },
    rows: [{ id: 1 }],
    gives: '[{"n":1}]',
  },
  {
    it: 'nests maps',
    body: { fields: { address: { street: 'street', zip: 'zip' } } },
    row: ROW,
    gives: '{"address":{"street":"Str. 1","zip":"01010"}}',
  },
  {
    it: 'nests lists',
    body: { fields: { tags: ['tag1', 'tag2', { value: 'c' }] } },
    row: ROW,
    gives: '{"tags":["a",null,"c"]}',
  },
  {
    it: 'takes fixed values',
    body: {
      fields: {
        channel: { value: 'web' },
        n: { value: 1.5 },
        t: { value: true },
        none: { value: null },
        list: { value: [1, { a: 2 }] },
      },
    },
    row: ROW,
    gives: '{"channel":"web","n":1.5,"t":true,"none":null,"list":[1,{"a":2}]}',
  },
  {
    it: 'takes texts by template',
    body: { fields: { full: { template: '{{ row.first }} {{ last }}' } } },
    row: ROW,
    gives: '{"full":"Ada Lovelace \\"L\\""}',
  },
  {
    it: 'takes texts by template in batches',
    body: { fields: { full: { template: '{{ row.first }}{{ rows.size }}{{ run.id }}' } } },
    rows: [{ first: 'a' }, { first: 'b' }],
    gives: '[{"full":"a101JD"},{"full":"b101JD"}]',
  },
  {
    it: 'keeps the names of one row from the next',
    body: { fields: { a: { template: '{{ x }}{% assign x = row.v %}{{ x }}' } } },
    rows: [{ v: 1 }, { v: 2 }],
    gives: '[{"a":"1"},{"a":"2"}]',
  },
  {
    it: 'knows previous rows and captured values in batches',
    body: { fields: { a: { template: '{{ previous.v }}{{ captured.c }}' } } },
    rows: [{ v: 1 }, { v: 2 }],
    previous: { v: 0 },
    captured: { c: 'x' },
    gives: '[{"a":"0x"},{"a":"0x"}]',
  },
  {
    it: 'forces a map whose only name is value',
    body: { fields: { price: { object: { value: 'id' } } } },
    row: ROW,
    gives: '{"price":{"value":7}}',
  },
  {
    it: 'forces a map whose only name is object',
    body: { fields: { x: { object: { object: 'id' } } } },
    row: ROW,
    gives: '{"x":{"object":7}}',
  },
  {
    it: 'takes a map with value among others as a map',
    body: { fields: { price: { value: 'id', unit: { value: 'EUR' } } } },
    row: ROW,
    gives: '{"price":{"value":7,"unit":"EUR"}}',
  },
  {
    it: 'takes the outermost map as a map',
    body: { fields: { value: 'id' } },
    row: ROW,
    gives: '{"value":7}',
  },
  {
    it: 'writes exact numbers',
    body: { fields: { a: 'a', b: 'b' } },
    row: { a: 9223372036854775807n, b: new Decimal('1.50') },
    gives: '{"a":9223372036854775807,"b":1.50}',
  },
  {
    it: 'writes lists, maps and bytes',
    body: { fields: { a: 'a', b: 'b', c: 'c' } },
    row: { a: [1, null], b: { x: 1 }, c: new Uint8Array([1]) },
    gives: '{"a":[1,null],"b":{"x":1},"c":"AQ=="}',
  },
  {
    it: 'writes null for a column that does not exist',
    body: { fields: { a: 'nothing', b: 'constructor' } },
    row: ROW,
    gives: '{"a":null,"b":null}',
  },
  {
    it: 'writes empty text for null where the mapper says so',
    body: { fields: { a: 'tag1', b: 'tag2', c: { d: 'nothing' }, e: ['tag2'] }, whenNull: 'empty' },
    row: ROW,
    gives: '{"a":"a","b":"","c":{"d":""},"e":[""]}',
  },
  {
    it: 'leaves fields out for null where the mapper says so',
    body: {
      fields: { a: 'tag2', b: 'tag1', c: { d: 'tag2' }, e: ['tag2', 'tag1'], f: { value: null } },
      whenNull: 'omit',
    },
    row: ROW,
    gives: '{"b":"a","c":{},"e":["a"],"f":null}',
  },
  {
    it: 'goes by a column that says by itself what null becomes',
    body: {
      fields: {
        a: { column: 'tag2', whenNull: 'keep' },
        b: { whenNull: 'empty', column: 'tag2' },
        c: 'tag2',
        d: { column: 'tag1', whenNull: 'empty' },
      },
      whenNull: 'omit',
    },
    row: ROW,
    gives: '{"a":null,"b":"","d":"a"}',
  },
  {
    it: 'takes the null of JSON as null, and no text or number',
    body: { fields: { a: 'a', b: 'b', c: 'c', d: 'd' }, whenNull: 'omit' },
    row: { a: new JsonText('null'), b: 'null', c: '', d: 0 },
    gives: '{"b":"null","c":"","d":0}',
  },
  {
    it: 'takes column and whenNull as names where they are not alone, or forced',
    body: {
      fields: {
        a: { column: 'id', whenNull: 'first', more: 'id' },
        b: { object: { column: 'id', whenNull: 'first' } },
        c: { column: 'id' },
      },
    },
    row: ROW,
    gives: '{"a":{"column":7,"whenNull":"Ada","more":7},"b":{"column":7,"whenNull":"Ada"},"c":{"column":7}}',
  },
  {
    it: 'rejects a batch of which no field is left',
    body: { fields: { a: 'v' }, whenNull: 'omit' },
    rows: [{ v: null }, { v: null }],
    error:
      'body.fields: the body has no field left, which says nothing of the rows; if that is meant, write allowEmpty: true beside the body',
  },
  {
    it: 'sends a batch of which some field is left',
    body: { fields: { a: 'v' }, whenNull: 'omit' },
    rows: [{ v: null }, { v: 1 }],
    gives: '[{},{"a":1}]',
  },
  { it: 'writes an empty map', body: { fields: {} }, row: ROW, gives: '{}' },
  { it: 'writes names that need quoting', body: { fields: { 'a"b': 'id' } }, row: ROW, gives: '{"a\\"b":7}' },
  {
    it: 'rejects NaN in a field',
    body: { fields: { a: { b: 'v' } } },
    row: { v: Number.NaN },
    error:
      'body.fields.a.b: NaN cannot be written in JSON, which knows finite numbers only; use {% if %} to send something else',
  },
  {
    it: 'rejects a text that cannot be rendered',
    body: { fields: { a: { template: '{{ captured.x }}' } } },
    row: ROW,
    error:
      'body.fields.a.template: captured.x was never captured from an answer; give it a "default" if the request can do without (line 1, column 1 of the template)',
  },
  {
    it: 'takes a column as the payload, byte for byte',
    body: { jsonColumn: 'doc' },
    row: { doc: ' {"b": 1.0, "a": 1e400} ' },
    gives: ' {"b": 1.0, "a": 1e400} ',
  },
  {
    it: 'takes a column as the payload in batches',
    body: { jsonColumn: 'doc' },
    rows: [{ doc: '{"a":1}' }, { doc: '2' }],
    gives: '[{"a":1},2]',
  },
  {
    it: 'takes a column of maps as the payload',
    body: { jsonColumn: 'doc' },
    row: { doc: { a: 9223372036854775807n } },
    gives: '{"a":9223372036854775807}',
  },
  {
    it: 'rejects a payload that is null',
    body: { jsonColumn: 'doc' },
    row: { doc: null },
    error: 'body.jsonColumn: the column doc is null',
  },
  {
    it: 'rejects a payload that is missing',
    body: { jsonColumn: 'doc' },
    row: ROW,
    error: 'body.jsonColumn: the column doc is not there',
  },
  {
    it: 'rejects a payload that is not JSON',
    body: { jsonColumn: 'doc' },
    row: { doc: '{"a":x}' },
    error:
      'body.jsonColumn: the column doc is not JSON at line 1, column 6: expected a value, found "x" in {"a":⮞x}',
  },
  {
    it: 'rejects a payload with a trailing comma',
    body: { jsonColumn: 'doc' },
    row: { doc: '[1,]' },
    error:
      'body.jsonColumn: the column doc is not JSON at line 1, column 3: expected no comma before a closing bracket, found "," in [1⮞,]',
  },
  {
    it: 'rejects an empty payload',
    body: { jsonColumn: 'doc' },
    row: { doc: ' ' },
    error: 'body.jsonColumn: the column doc is empty, which is not JSON',
  },
  {
    it: 'keeps a payload from breaking out of the list',
    body: { jsonColumn: 'doc' },
    rows: [{ doc: '1],[2' }],
    error:
      'body.jsonColumn: the column doc is not JSON at line 1, column 2: expected nothing more after the value, found "]" in 1⮞],[2',
  },
  {
    it: 'wraps fields',
    body: { fields: { n: 'id' }, wrap: '{"inputs": {{ items }}}' },
    rows: [{ id: 1 }, { id: 2 }],
    gives: '{"inputs": [{"n":1},{"n":2}]}',
  },
  {
    it: 'wraps one row',
    body: { fields: { n: 'id' }, wrap: '{"input":{{ items }},}' },
    row: ROW,
    gives: '{"input":{"n":7}}',
  },
  {
    it: 'wraps a column',
    body: { jsonColumn: 'doc', wrap: '{"docs":{{ items }}}' },
    rows: [{ doc: '1.0' }, { doc: '"x"' }],
    gives: '{"docs":[1.0,"x"]}',
  },
  {
    it: 'wraps with items | json too',
    body: { fields: { n: 'id' }, wrap: '{"inputs":{{ items | json }}}' },
    row: ROW,
    gives: '{"inputs":{"n":7}}',
  },
  {
    it: 'wraps with what templates see',
    body: { fields: { n: 'id' }, wrap: '{"run":"{{ run.id }}","count":{{ rows.size }},"items":{{ items }}}' },
    rows: [{ id: 1 }],
    gives: '{"run":"01JD","count":1,"items":[{"n":1}]}',
  },
  {
    it: 'wraps with the row',
    body: { fields: { n: 'id' }, wrap: '{"id":{{ row.id }},"item":{{ items }}}' },
    row: ROW,
    gives: '{"id":7,"item":{"n":7}}',
  },
  {
    it: 'rejects an envelope that makes no JSON',
    body: { fields: { n: 'id' }, wrap: '{"a":"{{ items | raw }}"}' },
    row: ROW,
    error:
      'body.wrap: the body is not JSON at line 1, column 9: expected "," or "}", found "n" in {"a":"{"⮞n":7}"}',
  },
]
