import type { MistakeCase, RenderCase } from '../case.ts'

const ROWS = [
  { id: 1, name: 'Ada' },
  { id: 2, name: 'Bob' },
]
const NOTHING_SAID =
  'which says nothing of the rows; if that is meant, write allowEmpty: true beside the body'

function inBatch(it: string, json: string, column: number, message: string): MistakeCase {
  return { it, batched: true, json, line: 1, column, message }
}

/** Names that can stand for nothing: requests would be sent, and say nothing of their rows. */
export const UNKNOWN_NAME_CASES: readonly MistakeCase[] = [
  inBatch(
    'knows no items in a batch',
    '[{% for row in items %}{{ row.id }},{% endfor %}]',
    16,
    'unknown name "items"; a batch has its rows in "rows": {% for row in rows %} … {{ row.items }} … {% endfor %}',
  ),
  inBatch(
    'names the list that is nearest',
    '[{% for row in row %}{{ row.id }},{% endfor %}]',
    16,
    '"row" is there for one row a request only; in a batch, write {% for row in rows %} and use row',
  ),
  inBatch(
    'names rows where one letter is missing',
    '[{% for row in rws %}{{ row.id }},{% endfor %}]',
    16,
    'unknown name "rws"; did you mean "rows"?',
  ),
  inBatch(
    'knows no bare column inside the loop over rows',
    '[{% for row in rows %}{{ email | json }},{% endfor %}]',
    26,
    'unknown name "email"; for the column write row.email',
  ),
  inBatch(
    'names the variable of the loop',
    '[{% for row in rows %}{{ rwo.v | json }},{% endfor %}]',
    26,
    'unknown name "rwo"; did you mean "row"?',
  ),
  inBatch(
    'names the variable of the loop for the row that only single requests have',
    '[{% for r in rows %}{{ row.v | json }},{% endfor %}]',
    24,
    '"row" is there for one row a request only; in this loop, use r',
  ),
  inBatch(
    'knows no bare name in an argument of a filter',
    '[{% for row in rows %}{{ row.a | append: suffix | json }},{% endfor %}]',
    42,
    'unknown name "suffix"; for the column write row.suffix',
  ),
  inBatch(
    'knows no bare name in a condition',
    '[{% for row in rows %}{% if active %}{{ row.a }},{% endif %}{% endfor %}]',
    29,
    'unknown name "active"; for the column write row.active',
  ),
  inBatch(
    'knows no variable behind its loop',
    '[{% for one in rows %}{{ one.a }},{% endfor %}{{ one.b }}]',
    50,
    'unknown name "one"; a batch has its rows in "rows": {% for row in rows %} … {{ row.one }} … {% endfor %}',
  ),
  inBatch(
    'knows no forloop outside of loops',
    '[{{ forloop.index }}{% for row in rows %},{{ row.a }}{% endfor %}]',
    5,
    'unknown name "forloop"; a batch has its rows in "rows": {% for row in rows %} … {{ row.forloop }} … {% endfor %}',
  ),
  inBatch(
    'knows the properties of a loop',
    '[{% for row in rows %}{{ forloop.idnex }},{% endfor %}]',
    26,
    '"forloop" has no "idnex"; did you mean "index"?',
  ),
  inBatch(
    'knows the properties of a table',
    '[{% tablerow row in rows %}{{ tablerowloop.clo }},{% endtablerow %}]',
    31,
    '"tablerowloop" has no "clo"; did you mean "col"?',
  ),
  inBatch(
    'knows that a list of rows is not a row',
    '[{{ rows.id }}]',
    5,
    '"rows" is the list of rows, which has no "id"; write {% for row in rows %} and use row.id',
  ),
  inBatch(
    'knows what a run has',
    '["{{ run.started }}"]',
    6,
    '"run" has no "started"; did you mean "startedAt"?',
  ),
  {
    it: 'knows what a sync has, in requests of one row, too',
    json: '"{{ sync.title }}{{ id }}"',
    line: 1,
    column: 5,
    message: '"sync" has no "title"; it has name',
  },
  {
    it: 'knows no bare column in the path of a batch',
    batched: true,
    path: '/lists/{{ list }}',
    line: 1,
    column: 11,
    message:
      'unknown name "list"; a batch has its rows in "rows": {% for row in rows %} … {{ row.list }} … {% endfor %}',
  },
  {
    it: 'knows no bare column in a form of a batch',
    batched: true,
    body: { form: { ids: '{{ id }}' } },
    field: 'body.form.ids',
    line: 1,
    column: 4,
    message:
      'unknown name "id"; a batch has its rows in "rows": {% for row in rows %} … {{ row.id }} … {% endfor %}',
  },
  {
    it: 'knows no bare column in an envelope of a batch',
    batched: true,
    body: { fields: { id: 'id' }, wrap: '{"list":"{{ name }}","in":{{ items }}}' },
    field: 'body.wrap',
    line: 1,
    column: 13,
    message:
      'unknown name "name"; a batch has its rows in "rows": {% for row in rows %} … {{ row.name }} … {% endfor %}',
  },
  inBatch('refuses a body that is an empty list for any rows', '[ ]', 1, `the body is [ ], ${NOTHING_SAID}`),
  inBatch(
    'refuses a body without any value in it',
    '{"in":[{}]}',
    1,
    `the body is {"in":[{}]}, ${NOTHING_SAID}`,
  ),
]

/** Batches whose rows make a body that says nothing of them. */
export const SILENT_BATCH_CASES: readonly RenderCase[] = [
  {
    it: 'rejects a body that came out as an empty list',
    rows: ROWS,
    json: "[{% for row in rows %}{% if row.name == 'Eve' %}{{ row.id }},{% endif %}{% endfor %}]",
    error: `body.json: the body is [], ${NOTHING_SAID}`,
  },
  {
    it: 'rejects an empty list once its commas are stripped',
    rows: ROWS,
    json: "[[{% for row in rows %}{% if row.name == 'Eve' %}{{ row.id }}{% endif %}{% endfor %}],]",
    error: `body.json: the body is [[]], ${NOTHING_SAID}`,
  },
  {
    it: 'rejects an empty map',
    rows: ROWS,
    json: '{% if rows.size > 2 %}{"n":{{ rows.size }}}{% else %}{ }{% endif %}',
    error: `body.json: the body is { }, ${NOTHING_SAID}`,
  },
  {
    it: 'rejects an envelope around nothing',
    rows: ROWS,
    body: { fields: { id: 'id' }, wrap: '{"in":[{% if rows.size > 2 %}{{ items }}{% endif %}]}' },
    error: `body.wrap: the body is {"in":[]}, ${NOTHING_SAID}`,
  },
  {
    it: 'rejects an empty text',
    rows: ROWS,
    body: {
      text: { contentType: 'text/csv', template: '{% for row in rows %}{{ row.note }}\n{% endfor %}' },
    },
    error: `body.text.template: the body is empty, ${NOTHING_SAID}`,
  },
  {
    it: 'rejects a form without a value',
    rows: ROWS,
    body: { form: { ids: '{% for row in rows %}{{ row.note }}{% endfor %}', tags: ['', ''] } },
    error: `body.form: the body has no value, ${NOTHING_SAID}`,
  },
  {
    it: 'sends an empty list that is meant',
    rows: ROWS,
    allowEmpty: true,
    json: "[{% for row in rows %}{% if row.name == 'Eve' %}{{ row.id }},{% endif %}{% endfor %}]",
    gives: '[]',
  },
  { it: 'sends values that are null, empty or false', rows: ROWS, json: '[null]', gives: '[null]' },
  { it: 'sends empty text in a list', rows: ROWS, json: '[""]', gives: '[""]' },
  { it: 'sends an empty map for one row', row: { id: 1 }, json: '{}', gives: '{}' },
  {
    it: 'takes names that are assigned anywhere',
    rows: ROWS,
    json: '{% for row in rows %}{% assign last = row.id %}{% endfor %}[{% increment n %},{{ last }},{{ n }}]',
    gives: '[0,2,1]',
  },
]
