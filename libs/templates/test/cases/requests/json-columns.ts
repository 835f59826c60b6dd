/** Columns that hold JSON. */
import { JsonText } from '@sluice/contracts/values'
import type { RenderCase } from '../case.ts'

const DOC = new JsonText(
  '{"a": 1.50,  "big": 12345678901234567890, "list": [ 1, {"x": "<y>"} ], "no": null, "text": "t", "size": 7}',
)
const LIST = new JsonText('[3, 1.10, 2]')
const NULL = new JsonText('null')
const TEXT = new JsonText('"te\\u0078t"')
const EMPTY = new JsonText('[]')
const WRONG = new JsonText('{"a": NaN}')
const NAN = 'the column is not JSON at line 1, column 7: expected a value, found "N" in {"a": ⮞NaN}'

export const JSON_COLUMN_CASES: readonly RenderCase[] = [
  { it: 'print as they stand', row: { doc: DOC }, liquid: '{{ row.doc }}', gives: DOC.text },
  {
    it: 'are JSON as they stand',
    row: { doc: DOC },
    json: '{"d":{{ row.doc | json }}}',
    gives: `{"d":${DOC.text}}`,
  },
  ...['NaN', '-Infinity'].flatMap((word): readonly RenderCase[] => {
    const row = { n: new JsonText(word) }
    return [
      {
        it: `that are a number and say ${word} print the word`,
        row,
        liquid: `{{ row.n }} {% if row.n == "${word}" %}yes{% endif %}`,
        gives: `${word} yes`,
      },
      {
        it: `that are a number and say ${word} are a text in JSON`,
        row,
        json: '{{ n | json }}',
        gives: `"${word}"`,
      },
      {
        it: `that are a number and say ${word} are a payload`,
        row,
        body: { jsonColumn: 'n' },
        gives: `"${word}"`,
      },
      {
        it: `that are a number and say ${word} stand in paths`,
        row,
        path: '/r/{{ row.n }}',
        gives: `/r/${word}`,
      },
    ]
  }),
  {
    it: 'are read like maps, with exact numbers',
    row: { doc: DOC },
    liquid: '{{ row.doc.a }} {{ doc.big | json }} {{ row.doc["a"] | plus: 1 }}',
    gives: '1.5 12345678901234567890 2.5',
  },
  {
    it: 'are read as deep as they go',
    row: { doc: DOC },
    liquid: '{{ row.doc.list[1].x }}{{ row.doc.list.last.x }}{{ row.doc.list.size }}',
    gives: '<y><y>2',
  },
  {
    it: 'have fields of any name',
    row: { doc: DOC },
    liquid:
      '{{ row.doc.text }}{{ row.doc.size }}{{ row.doc.toString }}{{ row.doc.nothing }}{{ row.doc.nothing.more }}',
    gives: 't7',
  },
  {
    it: 'are lists to loops and filters',
    row: { v: LIST },
    liquid:
      '{% for x in row.v %}<{{ x }}>{% endfor %} {{ row.v | sort | join: "," }} {{ row.v | first }} {{ v.size }} {{ v | sum }} {{ v | size }}',
    gives: '<3><1.1><2> 1.1,2,3 3 3 6.1 3',
  },
  {
    it: 'are maps to loops',
    row: { doc: new JsonText('{"a":1,"b":[2]}') },
    liquid: '{% for pair in row.doc %}{{ pair[0] }}={{ pair[1] }};{% endfor %}',
    gives: 'a=1;b=2;',
  },
  {
    it: 'are what they hold in conditions',
    row: { n: NULL, v: LIST, t: TEXT, e: EMPTY, one: new JsonText('1') },
    liquid:
      '{% if row.n %}n{% endif %}{% if row.t == "text" %}t{% endif %}{% if row.v contains 2 %}c{% endif %}' +
      '{% if row.e == empty %}e{% endif %}{% if row.one < 2 %}1{% endif %}{% if row.n == nil %}0{% endif %}' +
      '{% case row.one %}{% when 1 %}w{% endcase %}',
    gives: 'tce10w',
  },
  {
    it: 'have a default for null and for nothing in them',
    row: { n: NULL, e: EMPTY, v: LIST },
    liquid: '{{ row.n | default: "x" }}{{ row.e | default: "y" }}{{ row.v | default: "z" }}',
    gives: 'xy[3, 1.10, 2]',
  },
  {
    it: 'are text to filters that work on text',
    row: { v: LIST },
    liquid: '{{ row.v | append: "!" }} {{ row.v | replace: " ", "" }} {{ row.v | base64_encode }}',
    gives: `[3, 1.10, 2]! [3,1.10,2] ${Buffer.from(LIST.text).toString('base64')}`,
  },
  {
    it: 'are JSON in a row and in a field mapper',
    row: { doc: LIST },
    body: { fields: { a: 'doc', b: ['doc'], c: { template: '{{ row.doc[0] }}' } } },
    gives: '{"a":[3, 1.10, 2],"b":[[3, 1.10, 2]],"c":"3"}',
  },
  {
    it: 'are JSON in a whole row',
    row: { doc: LIST },
    json: '{{ row | json }}',
    gives: '{"doc":[3, 1.10, 2]}',
  },
  { it: 'are payloads', row: { doc: LIST }, body: { jsonColumn: 'doc' }, gives: LIST.text },
  {
    it: 'are escaped in XML',
    row: { doc: DOC },
    body: { xml: '<a>{{ row.doc.list[1] }}</a>' },
    gives: '<a>{&quot;x&quot;:&quot;&lt;y&gt;&quot;}</a>',
  },
  { it: 'are values of paths', row: { doc: DOC }, path: '/{{ row.doc.a }}', gives: '/1.5' },
  {
    it: 'are refused as JSON if they are not JSON',
    row: { doc: WRONG },
    json: '{{ row.doc | json }}',
    error: `body.json: ${NAN} (line 1, column 1 of the template)`,
  },
  {
    it: 'are refused by the field mapper if they are not JSON',
    row: { doc: WRONG },
    body: { fields: { a: 'doc' } },
    error: `body.fields.a: ${NAN}`,
  },
  {
    it: 'are refused when read if they are not JSON',
    row: { doc: WRONG },
    json: '{{ row.doc.a }}',
    error: `body.json: ${NAN} (line 1, column 1 of the template)`,
  },
  {
    it: 'are refused when they are nested without end',
    row: { doc: new JsonText('['.repeat(100_000) + ']'.repeat(100_000)) },
    json: '{{ row.doc[0] }}',
    error: 'body.json: the JSON of the column is nested too deep (line 1, column 1 of the template)',
  },
]
