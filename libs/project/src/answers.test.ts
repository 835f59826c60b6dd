/**
 * A sync's fields about answers, as written in a file: what they become, and where each mistake is reported.
 */
import { describe, expect, it } from 'vitest'
import { checkJsonPaths } from './checks/check-paths-and-schedules.ts'
import { checkTemplates } from './checks/check-templates.ts'
import { decodeResource } from './decode/decode-resource.ts'
import { readDocuments } from './files/read-documents.ts'

/** A sync with more fields. The first of them stands in line 9. */
function decode(fields: string) {
  const text =
    `kind: sync\nname: s\nmodel: m\ndestination: d\ntriggers:\n  added:\n    method: POST\n` +
    `    path: /x\n${fields}\n`
  const read = readDocuments({ path: 'a.yaml', folder: '/p', text })
  const decoded = read.resources.map(document =>
    decodeResource(document, { env: {}, readFile: () => ({ text: '$.errors[*]' }) }),
  )
  const problems = [...read.problems, ...decoded.flatMap(resource => resource.problems)]
  return {
    spec: decoded[0]?.spec,
    problems: [...problems, ...checkTemplates(decoded), ...checkJsonPaths(decoded)],
  }
}

function problemsOf(fields: string): readonly string[] {
  return decode(fields).problems.map(
    ({ line, column, field, message }) => `${[line, column].join(':')} ${field ?? ''}: ${message}`,
  )
}

describe('errors.retry', () => {
  it('may be now, with the number of extra tries and the pause before each', () => {
    const { spec, problems } = decode(
      `errors: { retry: now, attempts: 5, backoff: { first: 250ms, max: 10s } }`,
    )
    expect(problems).toEqual([])
    const errors = { retry: 'now', attempts: 5, backoff: { first: 250, max: 10_000 } }
    expect(spec).toMatchObject({ errors })
    expect(decode('errors: { retry: now, backoff: { first: 2s } }').spec).toMatchObject({
      errors: { backoff: { first: 2000, max: 60_000 } },
    })
  })

  it.each([
    ['errors: { attempts: 5 }', /errors\.attempts: .*no `attempts` without `retry: now`/],
    [
      'errors: { retry: next-run, backoff: { max: 5s } }',
      /errors\.backoff: .*no `backoff` without `retry: now`/,
    ],
    ['errors: { retry: now, attempts: -1 }', /errors\.attempts: .*a whole number from 0 to 100/],
    ['errors: { retry: now, backoff: { first: 2m } }', /errors\.backoff\.first: .*at most as long as `max`/],
    ['errors: { retry: now, backoff: { max: 2h } }', /errors\.backoff\.max: .*a duration of at most 1h/],
    ['errors: { retry: nwo }', /errors\.retry: .*`nwo`/],
  ])('has its rules: %s', (errors, problem) => {
    expect(problemsOf(errors)).toEqual([expect.stringMatching(problem)])
  })
})

describe('delivery', () => {
  it.each(['at-least-once', 'at-most-once'])('may be %s', delivery => {
    const { spec, problems } = decode(`delivery: ${delivery}`)
    expect(problems).toEqual([])
    expect(spec).toMatchObject({ delivery })
  })

  it('is no third thing', () => {
    expect(problemsOf('delivery: at-mots-once')).toEqual([
      expect.stringMatching(/delivery: .*did you mean `at-most-once`/),
    ])
  })
})

describe('errors.answers', () => {
  it('are read with statuses as numbers, classes and lists of both', () => {
    const { spec, problems } = decode(`errors:
  answers:
    - { status: 409, as: exists }
    - { status: 4xx, body: 404, as: rejected }
    - { status: [404, 410, 5xx], as: missing }
    - { status: 2xx, json: '$.errors[0]', as: rejected }
    - { status: 200, json: '\${file:path.txt}', as: unknown }`)
    expect(problems).toEqual([])
    expect(spec).toMatchObject({
      errors: {
        retry: 'next-run',
        answers: [
          { status: 409, as: 'exists' },
          { status: '4xx', body: '404', as: 'rejected' },
          { status: [404, 410, '5xx'], as: 'missing' },
          { status: '2xx', json: '$.errors[0]', as: 'rejected' },
          { status: 200, json: '$.errors[*]', as: 'unknown' },
        ],
      },
    })
  })

  const STATUS = 'a status from 200 to 599, or one of `2xx`, `3xx`, `4xx`, `5xx`'
  it.each([
    [
      'answers: [{ status: 99, as: exists }]',
      `9:31 errors.answers[0].status: sync \`s\`: wanted ${STATUS}, or a list of them, found \`99\``,
    ],
    [
      'answers: [{ status: 4XX, as: exists }]',
      `9:31 errors.answers[0].status: sync \`s\`: wanted ${STATUS}, or a list of them, found \`4XX\`; did you mean \`4xx\`?`,
    ],
    [
      'answers: [{ status: [404, 41], as: missing }]',
      `9:37 errors.answers[0].status[1]: sync \`s\`: wanted ${STATUS}, found \`41\``,
    ],
    [
      'answers: [{ status: [], as: missing }]',
      '9:31 errors.answers[0].status: sync `s`: wanted at least one status',
    ],
    [
      'answers: [{ status: 409, as: exist }]',
      '9:40 errors.answers[0].as: sync `s`: wanted one of `delivered`, `rejected`, `unknown`, `throttled`, `exists`, `missing`, ' +
        'found `exist`; did you mean `exists`?',
    ],
    [
      'answers: [{ status: 409, sa: exists }]',
      '9:36 errors.answers[0].sa: sync `s`: unknown field `sa`; did you mean `as`? The fields of `errors.answers[0]` are ' +
        '`status`, `json`, `body`, `as`, `error`, `retry`',
    ],
    [
      'answers: [{ status: 409, as: exists, retry: next-run }]',
      expect.stringMatching(
        /^9:\d+ errors\.answers\[0\]\.retry: .*no `retry` here: only what is `rejected` or/,
      ),
    ],
    [
      'answers: [{ status: 409, as: rejected, retry: never }]',
      expect.stringMatching(/errors\.answers\[0\]\.retry: .*wanted `next-run`, found `never`/),
    ],
    [
      'answers: [{ status: 409, as: rejected, error: message }]',
      expect.stringMatching(/errors\.answers\[0\]\.error: .*wanted a JSONPath, which begins with \$/),
    ],
    [
      'answers: [{ as: exists }]',
      `9:21 errors.answers[0].status: sync \`s\`: the field \`status\` is missing; wanted ${STATUS}, or a list of them`,
    ],
    ['answers: { status: 409, as: exists }', '9:20 errors.answers: sync `s`: wanted a list, found a map'],
    [
      'answres: []',
      '9:11 errors.answres: sync `s`: unknown field `answres`; did you mean `answers`? The fields of `errors` are `retry`, `attempts`, `backoff`, `answers`, `rowResults`, `splitBatches`, `giveUpAfter`, `retryAfter`',
    ],
    [
      `answers: [{ status: 200, json: '$.a..b', as: rejected }]`,
      `9:46 errors.answers[0].json: sync \`s\`: wanted .name, ['name'], [n] or [*], found "..b"; a path cannot search all levels (..)`,
    ],
    [
      `answers: [{ status: 200, json: errors, as: rejected }]`,
      `9:42 errors.answers[0].json: sync \`s\`: wanted a JSONPath, which begins with $, such as $.errors[0]`,
    ],
  ])('%s is reported with its place', (answers, problem) => {
    expect(problemsOf(`errors: { ${answers} }`)).toEqual([problem])
  })
})

describe('errors.rowResults and errors.splitBatches', () => {
  const rules = (...lines: readonly string[]): string =>
    `errors:\n  rowResults:\n${lines.map(line => `    - ${line}\n`).join('')}`

  it('take rows by column, by index and by position, which is the default', () => {
    const { spec, problems } = decode(
      rules(
        `{ items: "$.results[*]", row: { email: "$.id", Org: "$.org" }, as: delivered }`,
        `{ items: "$.errors[*]", row: { index: "$.index" }, json: "$.fatal", as: rejected, error: "$.message" }`,
        `{ items: "$[*]", as: throttled }`,
        `{ items: "$[*]", row: position, as: unknown }`,
      ) + '  splitBatches: true\n',
    )
    expect(problems).toEqual([])
    expect(spec).toMatchObject({
      errors: {
        splitBatches: true,
        rowResults: [
          { row: { email: '$.id', Org: '$.org' } },
          { row: { index: '$.index' }, json: '$.fatal', error: '$.message' },
          { row: 'position' },
          { row: 'position' },
        ],
      },
    })
  })

  it.each([
    [`{ row: position, as: rejected }`, /the field `items` is missing/],
    [`{ items: "$.a[*]" }`, /the field `as` is missing/],
    [`{ items: "$.a[*]", as: failed }`, /as: .*`failed`/],
    [
      `{ items: "$.a[*]", row: index, as: rejected }`,
      /row: .*wanted `position`, \{ index: "\$\.index" \}, or columns/,
    ],
    [`{ items: "$.a[*]", row: {}, as: rejected }`, /row: .*at least one column, such as/],
    [`{ items: "errors", as: rejected }`, /items: .*wanted a JSONPath, which begins with \$/],
    [`{ items: "$..a", as: rejected }`, /items: .*a path cannot search all levels/],
    [`{ items: "$.a[*]", row: { index: index }, as: rejected }`, /row\.index: .*wanted a JSONPath/],
    [
      `{ items: "$.a[*]", row: { mail: $.my-mail }, as: rejected }`,
      /row\.mail: .*write a name with other characters/,
    ],
    [`{ items: "$.a[*]", json: "$[?x]", as: rejected }`, /json: .*filters are not supported/],
    [`{ items: "$.a[*]", as: rejected, error: message }`, /error: .*wanted a JSONPath/],
    [`{ items: "$.a[*]", as: throttled, retry: next-run }`, /retry: .*no `retry` here/],
    [`{ items: "$.a[*]", as: rejected, status: 400 }`, /unknown field `status`/],
  ])('report %s with its place', (rule, problem) => {
    expect(problemsOf(rules(rule))).toEqual([expect.stringMatching(problem)])
  })

  it('want true or false for halving', () => {
    expect(problemsOf('errors: { splitBatches: often }')).toEqual([
      expect.stringMatching(/errors\.splitBatches: .*wanted true or false, found `often`/),
    ])
  })

  it('let a batch capture values where they say whose items they are', () => {
    const batch = `    batch: {}\n    body: { jsonColumn: doc }\n    capture: { id: $.id }\n`
    expect(problemsOf(batch + rules(`{ items: "$[*]", as: delivered }`))).toEqual([])
    expect(problemsOf(batch + rules(`{ items: "$[*]", as: rejected }`))).toHaveLength(1)
  })
})

describe('captures', () => {
  it('are read by name, and may stand beside batches of one row', () => {
    const { spec, problems } = decode(
      `    capture: { id: $.id, Rev_2: "$['@rev']" }\n    batch: { size: 1 }\n    body: { jsonColumn: doc }`,
    )
    expect(problems).toEqual([])
    expect(spec).toMatchObject({ triggers: { added: { capture: { id: '$.id', Rev_2: "$['@rev']" } } } })
  })

  it.each([
    [
      `    capture: { id: "$.id" }\n    batch: {}`,
      '9:14 triggers.added.capture: sync `s`: wanted `batch` left out, or of size 1, beside `capture`; ' +
        'or `errors.rowResults` with a rule `as: delivered`, which says where the answer to a batch has the item of each row',
    ],
    [
      `    capture: { id: "$.id" }\n    batch: { size: 2 }`,
      '9:14 triggers.added.capture: sync `s`: wanted `batch` left out, or of size 1, beside `capture`; ' +
        'or `errors.rowResults` with a rule `as: delivered`, which says where the answer to a batch has the item of each row',
    ],
    [
      `    capture: {}`,
      '9:14 triggers.added.capture: sync `s`: wanted at least one value, such as { id: "$.id" }',
    ],
    [
      `    capture: { my-id: "$.id" }`,
      '9:16 triggers.added.capture.my-id: sync `s`: wanted a name of letters, digits and _, which does not begin with a digit, found `my-id`',
    ],
    [
      `    capture: { id: id }`,
      '9:20 triggers.added.capture.id: sync `s`: wanted a JSONPath, which begins with $, such as $.errors[0]',
    ],
    [
      `    capture: { id: "$.my-id" }`,
      `9:25 triggers.added.capture.id: sync \`s\`: wanted .name, ['name'], [n] or [*], found "-id"; write a name with other characters as ['name']`,
    ],
    [
      `  removed: { method: DELETE, path: /x, capture: { id: $.id } }`,
      '9:49 triggers.removed.capture: sync `s`: wanted no `capture` here: a row that is removed has no later change to use the values',
    ],
  ])('%s is reported with its place', (fields, problem) => {
    expect(problemsOf(fields)).toEqual([problem])
  })

  it('of another trigger may be taken over by removed', () => {
    expect(problemsOf(`    capture: { id: $.id }\n  removed: added`)).toEqual([])
  })

  it('are known to the templates by their names', () => {
    const removed = (path: string): readonly string[] =>
      problemsOf(`    capture: { id: $.id }\n  removed: { method: DELETE, path: '${path}' }`)
    expect(removed('/x/{{ captured.id }}')).toEqual([])
    expect(
      removed('/x/{{ captured["id"] }}{% if id %}{% assign captured = row %}{% endif %}{{ captured.name }}'),
    ).toEqual([])
    expect(removed('/x/{{ captured.idd }}')).toEqual([
      '10:43 triggers.removed.path: sync `s`: no trigger captures "idd"; did you mean "id"?',
    ])
    expect(removed('/x/{{ captured.customer }}')).toEqual([
      '10:43 triggers.removed.path: sync `s`: no trigger captures "customer"; write capture: { customer: … } where it comes from',
    ])
    expect(problemsOf(`  removed: { method: DELETE, path: '/x/{{ captured.id }}' }`)).toHaveLength(1)
  })
})

describe('triggers that say nothing of their rows', () => {
  it('are reported with the place of the name that stands for nothing', () => {
    const batch =
      '    batch: {}\n    body:\n      json: |\n        [{% for row in items %}\n          {{ row.id }},{% endfor %}]'
    expect(problemsOf(batch)).toEqual([
      '12:24 triggers.added.body.json: sync `s`: unknown name "items"; a batch has its rows in "rows": ' +
        '{% for row in rows %} … {{ row.items }} … {% endfor %}',
    ])
  })

  it('are reported if a removal names no row, unless the file says that this is meant', () => {
    const removed = (more: string) => problemsOf(`  removed: { method: DELETE, path: /customers${more} }`)
    expect(removed('')).toEqual([
      '9:36 triggers.removed.path: sync `s`: a DELETE for a removed row names no row, and would call the whole collection; ' +
        'use a column of the row, or write allowEmpty: true beside the path if that is meant',
    ])
    expect(removed(', allowEmpty: true')).toEqual([])
    expect(removed(", allowEmpty: 'yes'")).toEqual([
      '9:60 triggers.removed.allowEmpty: sync `s`: wanted true or false, found `yes`',
    ])
  })
})
