import { Decimal } from '@sluice/contracts/values'
import type { RenderCase } from '../case.ts'

const ALGOLIA = `[{% for row in rows %}{"objectID":"{{ row.id }}","type":"synonym","synonyms":["{{ row.synonyms | replace: ', ', '","' }}"],},{% endfor %}]`

/** Bodies in JSON: trailing commas go, all else stays byte for byte or is rejected with its place. */
export const JSON_CASES: readonly RenderCase[] = [
  {
    it: 'sends a batch to Algolia',
    json: ALGOLIA,
    rows: [
      { id: 1, synonyms: 'car, auto' },
      { id: 2, synonyms: 'sea' },
    ],
    gives:
      '[{"objectID":"1","type":"synonym","synonyms":["car","auto"]},{"objectID":"2","type":"synonym","synonyms":["sea"]}]',
  },
  {
    it: 'sends one row to Algolia',
    json: ALGOLIA,
    rows: [{ id: 1, synonyms: 'car' }],
    gives: '[{"objectID":"1","type":"synonym","synonyms":["car"]}]',
  },
  { it: 'strips the comma that ends a list', json: '[1,2,]', gives: '[1,2]' },
  { it: 'strips the comma that ends a map', json: '{"a":1,}', gives: '{"a":1}' },
  { it: 'strips commas that end lists in lists', json: '[[1,],[2,],]', gives: '[[1],[2]]' },
  { it: 'strips commas that end maps in maps', json: '{"a":{"b":1,},}', gives: '{"a":{"b":1}}' },
  { it: 'strips commas in the middle only', json: '[[1,],2]', gives: '[[1],2]' },
  { it: 'strips commas before whitespace', json: '[1 , \n\t]', gives: '[1  \n\t]' },
  { it: 'strips commas before whitespace inside', json: '{"a":[1, ],\n}\n', gives: '{"a":[1 ]\n}\n' },
  {
    it: 'strips no comma that ends nothing',
    json: '[,]',
    error: 'body.json: the body is not JSON at line 1, column 2: expected a value or "]", found "," in [⮞,]',
  },
  { it: 'leaves commas in strings', json: '{"a":",}","b":",]",}', gives: '{"a":",}","b":",]"}' },
  { it: 'leaves commas in strings with quotes', json: '["a\\",]",["\\\\",],]', gives: '["a\\",]",["\\\\"]]' },
  { it: 'leaves commas in names', json: '{",}":1,"a":[1,],}', gives: '{",}":1,"a":[1]}' },
  {
    it: 'strips one comma, not two',
    json: '[1,,]',
    error:
      'body.json: the body is not JSON at line 1, column 4: expected a value or "]", found "," in [1,⮞,]',
  },
  {
    it: 'keeps whitespace and key order',
    json: '{ "z" : 1 ,\n  "a" : [ ] }',
    gives: '{ "z" : 1 ,\n  "a" : [ ] }',
  },
  {
    it: 'keeps numbers as they are written',
    json: '[1.0, 1E400, -0, 12345678901234567890.10]',
    gives: '[1.0, 1E400, -0, 12345678901234567890.10]',
  },
  { it: 'keeps escapes as they are written', json: '"\\u0041\\/"', gives: '"\\u0041\\/"' },
  { it: 'keeps keys that come twice', json: '{"a":1,"a":2}', gives: '{"a":1,"a":2}' },
  { it: 'takes any JSON value', json: '{{ v | json }}', row: { v: 'text' }, gives: '"text"' },
  {
    it: 'sends exact numbers',
    json: '{"id":{{ row.id | json }},"price":{{ row.price | json }}}',
    row: { id: 9223372036854775807n, price: new Decimal('0.10') },
    gives: '{"id":9223372036854775807,"price":0.10}',
  },
  {
    it: 'sends null for a missing value',
    json: '{"a":{{ row.a | json }},"b":{{ b | json }}}',
    row: { a: null },
    gives: '{"a":null,"b":null}',
  },
  {
    it: 'sends nested JSON from a column as it is',
    json: '{"doc":{{ row.doc }},}',
    row: { doc: '{"b":1.0, "a":[]}' },
    gives: '{"doc":{"b":1.0, "a":[]}}',
  },
  {
    it: 'sends an empty list for no items',
    json: '{"tags":[{% for t in row.tags %}{{ t | json }},{% endfor %}]}',
    row: { tags: [] },
    gives: '{"tags":[]}',
  },
  {
    it: 'sends lists of lists',
    json: '[{% for row in rows %}{"tags":[{% for t in row.tags %}{{ t | json }},{% endfor %}],},{% endfor %}]',
    rows: [{ tags: ['a', 'b,]'] }, { tags: [] }],
    gives: '[{"tags":["a","b,]"]},{"tags":[]}]',
  },
  {
    it: 'rejects text with a quote that breaks out of its string',
    json: '{"a":"{{ v | raw }}"}',
    row: { v: 'x"y' },
    error:
      'body.json: the body is not JSON at line 1, column 9: expected "," or "}", found "y" in {"a":"x"⮞y"}',
  },
  {
    it: 'rejects a line break in a string',
    json: '{"a":"{{ v | raw }}"}',
    row: { v: 'x\ny' },
    error:
      'body.json: the body is not JSON at line 1, column 8: expected no control character inside a string (print the value with "| json"), found a line break in {"a":"x⮞ y"}',
  },
  {
    it: 'rejects an unknown escape',
    json: '{"a":"{{ v | raw }}"}',
    row: { v: '\\x' },
    error:
      'body.json: the body is not JSON at line 1, column 7: expected an escape that JSON knows, or "\\\\" for a backslash, found "\\\\" in {"a":"⮞\\x"}',
  },
  {
    it: 'rejects a string that does not end',
    json: '{"a":"{{ v | raw }}"}',
    row: { v: '\\' },
    error:
      'body.json: the body is not JSON at line 1, column 6: expected a closing quote for the string that begins here, found "\\"" in {"a":⮞"\\"}',
  },
  {
    it: 'rejects a missing value',
    json: '{"a":{{ v }}}',
    row: { v: null },
    error: 'body.json: the body is not JSON at line 1, column 6: expected a value, found "}" in {"a":⮞}',
  },
  {
    it: 'rejects a missing comma',
    json: '[1 2]',
    error: 'body.json: the body is not JSON at line 1, column 4: expected "," or "]", found "2" in [1 ⮞2]',
  },
  {
    it: 'rejects a missing bracket',
    json: '[1, 2',
    error:
      'body.json: the body is not JSON at line 1, column 6: expected "," or "]", found the end of the text in [1, 2⮞',
  },
  {
    it: 'rejects the wrong bracket',
    json: '{"a":[1}',
    error: 'body.json: the body is not JSON at line 1, column 8: expected "," or "]", found "}" in {"a":[1⮞}',
  },
  {
    it: 'rejects what follows the value',
    json: '{"a":1},',
    error:
      'body.json: the body is not JSON at line 1, column 8: expected nothing more after the value, found "," in {"a":1}⮞,',
  },
  {
    it: 'rejects names without quotes',
    json: '{a:1}',
    error:
      'body.json: the body is not JSON at line 1, column 2: expected a name in quotes or "}", found "a" in {⮞a:1}',
  },
  {
    it: 'rejects single quotes',
    json: "{'a':1}",
    error:
      'body.json: the body is not JSON at line 1, column 2: expected a name in quotes or "}", found "\'" in {⮞\'a\':1}',
  },
  {
    it: 'rejects a missing colon',
    json: '{"a" 1}',
    error: 'body.json: the body is not JSON at line 1, column 6: expected ":", found "1" in {"a" ⮞1}',
  },
  {
    it: 'rejects words that JSON does not know',
    json: '{"a":None}',
    error: 'body.json: the body is not JSON at line 1, column 6: expected a value, found "N" in {"a":⮞None}',
  },
  {
    it: 'rejects words that only begin well',
    json: '{"a":nullx}',
    error:
      'body.json: the body is not JSON at line 1, column 10: expected the end of the value, found "x" in {"a":null⮞x}',
  },
  {
    it: 'rejects numbers with leading zeros',
    json: '{"zip":{{ v }}}',
    row: { v: '01010' },
    error:
      'body.json: the body is not JSON at line 1, column 9: expected the end of the value, found "1" in {"zip":0⮞1010}',
  },
  {
    it: 'rejects NaN that was not written with json',
    json: '{"a":{{ v }}}',
    row: { v: Number.NaN },
    error: 'body.json: the body is not JSON at line 1, column 6: expected a value, found "N" in {"a":⮞NaN}',
  },
  {
    it: 'rejects comments',
    json: '{"a":1} // one',
    error:
      'body.json: the body is not JSON at line 1, column 9: expected nothing more after the value, found "/" in {"a":1} ⮞// one',
  },
  {
    it: 'rejects an empty body',
    json: '{{ v }}',
    row: { v: null },
    error: 'body.json: the body is empty, which is not JSON',
  },
  {
    it: 'names the line and shows the text around',
    json: '{\n  "first": 1,\n  "second": {{ v }},\n  "third": 3\n}',
    row: { v: 'abc' },
    error:
      'body.json: the body is not JSON at line 3, column 13: expected a value, found "a" in { "first": 1, "second": ⮞abc, "third": 3 }',
  },
  {
    it: 'shows only a part of a long text',
    json: '{"a":"{{ v }}","b":?,"c":"{{ v }}"}',
    row: { v: 'x'.repeat(50) },
    error:
      'body.json: the body is not JSON at line 1, column 63: expected a value, found "?" in …xxxxxxxxxxxxxxxxxxxxxxxx","b":⮞?,"c":"xxxxxxxxxxxxxxxxxxxxxxx…',
  },
  {
    it: 'names a place in the text as it was rendered, commas included',
    json: '[1,],\n x',
    error:
      'body.json: the body is not JSON at line 1, column 5: expected nothing more after the value, found "," in [1,]⮞, x',
  },
]
