import type { Row, Value } from '@sluice/contracts/values'
import type { RenderCase } from './case.ts'

const ROW = { id: 7, name: 'Ada' }

function withoutPrototype(row: Row): Row {
  const bare: { [column: string]: Value } = { ...row }
  Object.setPrototypeOf(bare, null)
  return bare
}

/** Each case says which value a name stands for. */
export const NAME_CASES: readonly RenderCase[] = [
  { it: 'reads a column of the row', liquid: '{{ row.name }}', row: ROW, gives: 'Ada' },
  { it: 'reads a column by its bare name', liquid: '{{ name }}', row: ROW, gives: 'Ada' },
  {
    it: 'reads a column whose name is not a word',
    liquid: "{{ row['first name'] }}",
    row: { 'first name': 'Ada' },
    gives: 'Ada',
  },
  {
    it: 'reads a bare column whose name is not a word',
    liquid: "{{ ['first name'] }}",
    row: { 'first name': 'Ada' },
    gives: 'Ada',
  },
  {
    it: 'reads a column whose name is calculated',
    liquid: "{% assign c = 'name' %}{{ row[c] }}",
    row: ROW,
    gives: 'Ada',
  },
  {
    it: 'reads a bare column whose name is calculated',
    liquid: "{% assign c = 'name' %}{{ [c] }}",
    row: ROW,
    gives: 'Ada',
  },
  { it: 'reads names with dashes', liquid: '{{ first-name }}', row: { 'first-name': 'Ada' }, gives: 'Ada' },
  { it: 'distinguishes upper and lower case', liquid: '[{{ Name }}]', row: ROW, gives: '[]' },
  {
    it: 'prints nothing for a column that does not exist',
    liquid: '[{{ row.nothing }}]',
    row: ROW,
    gives: '[]',
  },
  {
    it: 'prints nothing for a member of a missing value',
    liquid: '[{{ row.nothing.deeper.still }}]',
    row: ROW,
    gives: '[]',
  },
  {
    it: 'gives single rows as a list too',
    liquid: '{% for r in rows %}{{ r.name }}{% endfor %}',
    row: ROW,
    gives: 'Ada',
  },
  { it: 'counts rows', liquid: '{{ rows.size }}', rows: [ROW, ROW], gives: '2' },
  {
    it: 'takes the first and the last row',
    liquid: '{{ rows.first.id }}{{ rows.last.id }}',
    rows: [{ id: 1 }, { id: 2 }],
    gives: '12',
  },
  {
    it: 'takes rows by their place',
    liquid: '{{ rows[0].id }}{{ rows[-1].id }}',
    rows: [{ id: 1 }, { id: 2 }],
    gives: '12',
  },
  {
    it: 'keeps the name row from a column',
    liquid: '{{ row.row }}',
    row: { row: 'a column' },
    gives: 'a column',
  },
  {
    it: 'keeps the name run from a column',
    liquid: '{{ run.id }} {{ row.run }}',
    row: { run: 'a column' },
    gives: '01JD a column',
  },
  {
    it: 'keeps the name sync from a column',
    liquid: '{{ sync.name }} {{ row.sync }}',
    row: { sync: 'a column' },
    gives: 'orders a column',
  },
  { it: 'gives the run', liquid: '{{ run.id }} {{ run.startedAt }}', gives: '01JD 2024-02-29T12:34:56.000Z' },
  {
    it: 'gives the run in batches',
    liquid: '{{ run.id }} {{ sync.name }}',
    rows: [ROW],
    gives: '01JD orders',
  },
  {
    it: 'gives the row as it was delivered before',
    liquid: '{{ previous.name }} → {{ row.name }}',
    row: ROW,
    previous: { name: 'Eve' },
    gives: 'Eve → Ada',
  },
  { it: 'has no previous row if there was none', liquid: '[{{ previous.name }}]', row: ROW, gives: '[]' },
  {
    it: 'gives previous rows in batches',
    liquid: '{% for row in rows %}{{ row.previous.name }}{% endfor %}',
    rows: [ROW],
    previous: { name: 'Eve' },
    gives: 'Eve',
  },
  {
    it: 'gives captured values',
    liquid: '{{ captured.customer }}',
    row: ROW,
    captured: { customer: 'c-1' },
    gives: 'c-1',
  },
  {
    it: 'reads into captured values',
    liquid: '{{ captured.customer.id }}',
    row: ROW,
    captured: { customer: { id: 5 } },
    gives: '5',
  },
  {
    it: 'gives captured values in batches',
    liquid: '{% for row in rows %}{{ row.captured.customer }},{% endfor %}',
    rows: [ROW, { id: 8 }],
    captured: { customer: 'c-1' },
    gives: 'c-1,c-1,',
  },
  {
    it: 'gives all captured values as JSON',
    liquid: '{{ captured | json }}',
    row: ROW,
    captured: { a: 1, b: 'x' },
    gives: '{"a":1,"b":"x"}',
  },
  {
    it: 'gives null for captured values that never were',
    liquid: '{{ captured | json }}',
    row: ROW,
    gives: 'null',
  },
  {
    it: 'rejects a row that needs a value never captured',
    json: '{"id":"{{ captured.customer }}"}',
    row: ROW,
    error:
      'body.json: captured.customer was never captured from an answer; give it a "default" if the request can do without (line 1, column 8 of the template)',
  },
  {
    it: 'rejects a row when other values were captured',
    path: '/c/{{ captured.customer }}',
    row: ROW,
    captured: { other: 1 },
    error:
      'path: captured.customer was never captured from an answer; give it a "default" if the request can do without (line 1, column 4 of the template)',
  },
  {
    it: 'rejects a batch that needs a value never captured',
    json: '[{% for row in rows %}"{{ row.captured.x }}",{% endfor %}]',
    rows: [ROW],
    error:
      'body.json: captured.x was never captured from an answer; give it a "default" if the request can do without (line 1, column 24 of the template)',
  },
  {
    it: 'asks for a captured value in a condition',
    liquid: '{% if captured.customer %}yes{% else %}no{% endif %}',
    row: ROW,
    gives: 'no',
  },
  {
    it: 'compares a captured value in a condition',
    liquid: "{% if captured.customer == nil or captured.customer == '' %}no{% endif %}",
    row: ROW,
    gives: 'no',
  },
  {
    it: 'gives a default for a captured value',
    liquid: "{{ captured.customer | default: 'new' }}",
    row: ROW,
    gives: 'new',
  },
  {
    it: 'lets a column win over what stands beside a row',
    liquid: '{% for row in rows %}{{ row.captured }}{% endfor %}',
    rows: [{ captured: 'a column' }],
    captured: { x: 1 },
    gives: 'a column',
  },
  {
    it: 'gives captured values with the row for one row a request too',
    liquid: '{{ row.captured.x }}',
    row: ROW,
    captured: { x: 1 },
    gives: '1',
  },
  {
    it: 'lets an assigned name win over a column',
    liquid: "{% assign name = 'Eve' %}{{ name }} {{ row.name }}",
    row: ROW,
    gives: 'Eve Ada',
  },
  {
    it: 'reads the column until the name is assigned',
    liquid: "{{ name }}{% assign name = 'Eve' %} {{ name }}",
    row: ROW,
    gives: 'Ada Eve',
  },
  {
    it: 'lets a loop variable win over an assigned name',
    liquid: '{% assign x = 1 %}{% for x in (5..6) %}{{ x }}{% endfor %}{{ x }}',
    gives: '561',
  },
  {
    it: 'lets a loop variable win over row',
    liquid: '{% for row in rows %}{{ row.id }}{% endfor %}',
    row: ROW,
    gives: '7',
  },
  {
    it: 'keeps an assignment made in a loop',
    liquid: '{% for i in (1..3) %}{% assign last = i %}{% endfor %}{{ last }}',
    gives: '3',
  },
  {
    it: 'forgets names from one request to the next',
    liquid: '[{{ seen }}]{% assign seen = 1 %}',
    gives: '[]',
  },
  {
    it: 'has no prototype: constructor',
    liquid: '[{{ row.constructor }}][{{ constructor }}]',
    row: ROW,
    gives: '[][]',
  },
  {
    it: 'has no prototype: __proto__',
    liquid: '[{{ row.__proto__ }}][{{ __proto__.constructor }}]',
    row: ROW,
    gives: '[][]',
  },
  {
    it: 'has no prototype: methods of texts and lists',
    liquid: "[{{ 'a'.length }}{{ row.name.trim }}{{ row.list.map }}]",
    row: { ...ROW, list: [1] },
    gives: '[]',
  },
  {
    it: 'has no prototype: fields of numbers by name',
    liquid: '[{{ row.id.toString }}{{ row.id.constructor.name }}]',
    row: ROW,
    gives: '[]',
  },
  {
    it: 'has no prototype: bytes',
    liquid: '[{{ row.b.buffer }}{{ row.b.slice }}{{ row.b.length }}]',
    row: { b: new Uint8Array(3) },
    gives: '[]',
  },
  {
    it: 'has no prototype: loops',
    liquid:
      '{% for i in (1..1) %}[{{ forloop.constructor }}{{ forloop.read }}{{ forloop.__proto__ }}]{% endfor %}',
    gives: '[]',
  },
  {
    it: 'has no prototype: captured values',
    liquid: '[{{ captured.constructor | default: "" }}{{ captured.find | default: "" }}]',
    captured: {},
    gives: '[]',
  },
  {
    it: 'reads a column called constructor',
    liquid: '{{ row.constructor }} {{ constructor }}',
    row: { constructor: 'x' },
    gives: 'x x',
  },
  {
    it: 'reads a column called __proto__',
    liquid: '{{ row.__proto__ }} {{ __proto__ }}',
    row: Object.fromEntries([['__proto__', 'x']]),
    gives: 'x x',
  },
  {
    it: 'reads columns called like methods',
    liquid: '{{ toString }}{{ hasOwnProperty }}{{ row.valueOf }}',
    row: { toString: 'a', hasOwnProperty: 'b', valueOf: 'c' },
    gives: 'abc',
  },
  {
    it: 'reads columns called size, first and last',
    liquid: '{{ row.size }}{{ row.first }}{{ row.last }}',
    row: { size: 'a', first: 'b', last: 'c' },
    gives: 'abc',
  },
  {
    it: 'reads a row without a prototype',
    liquid: '{{ row.id }}{{ id }}[{{ row.constructor }}]',
    row: withoutPrototype({ id: 1 }),
    gives: '11[]',
  },
  {
    it: 'has no prototype: methods of what we made ourselves',
    liquid:
      '{% for i in (1..1) %}{% if forloop.printed or captured.need or captured.printed %}reached{% endif %}{% endfor %}',
    captured: {},
    gives: '',
  },
]
