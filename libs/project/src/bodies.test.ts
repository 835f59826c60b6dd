/** The bodies of triggers, as written in a file: what each becomes, and where each mistake is reported. */
import { describe, expect, it } from 'vitest'
import { checkTemplates } from './checks/check-templates.ts'
import { decodeResource } from './decode/decode-resource.ts'
import { readDocuments } from './files/read-documents.ts'

const ENV = { CHANNEL: '3', ZIP: '0123', FLAG: 'true', LONG: '9007199254740993' }

/** A sync whose trigger `added` has this body; its first line is line 9. */
function decode(body: string, batch = '') {
  const text =
    `kind: sync\nname: s\nmodel: m\ndestination: d\ntriggers:\n  added:\n    method: POST\n` +
    `    path: /x\n    body:${body}\n${batch}`
  const read = readDocuments({ path: 'a.yaml', folder: '/p', text })
  const decoded = read.resources.map(document =>
    decodeResource(document, { env: ENV, readFile: () => ({ text: '<a>{{ row.id | nofilter }}</a>' }) }),
  )
  const problems = [...read.problems, ...decoded.flatMap(({ problems }) => problems)]
  return { decoded, problems: [...problems, ...checkTemplates(decoded)] }
}

function bodyOf(body: string): unknown {
  const { decoded, problems } = decode(body)
  expect(problems).toEqual([])
  const spec = decoded[0]?.spec
  const trigger = spec?.kind === 'sync' ? spec.triggers.added : undefined
  return typeof trigger === 'object' ? trigger.body : undefined
}

function problemsOf(body: string, batch = ''): string[] {
  return decode(body, batch).problems.map(
    ({ line, column, field, message }) => `${[line, column].join(':')} ${field ?? ''}: ${message}`,
  )
}

describe('a body', () => {
  it.each([
    [` { json: '{"a":1}' }`, { json: '{"a":1}' }],
    [` { json: 3.10 }`, { json: '3.10' }],
    [` { jsonColumn: doc }`, { jsonColumn: 'doc' }],
    [` { jsonColumn: 2024, wrap: '{{ items }}' }`, { jsonColumn: '2024', wrap: '{{ items }}' }],
    [` { fields: {} }`, { fields: {} }],
    [` { xml: '<a/>' }`, { xml: '<a/>' }],
    [` { form: { a: 01, b: yes, c: '' } }`, { form: { a: '01', b: 'yes', c: '' } }],
    [` { form: {} }`, { form: {} }],
    [` { form: { tags: [a, '{{ id }}', 3] } }`, { form: { tags: ['a', '{{ id }}', '3'] } }],
    [
      ` { text: { contentType: text/csv, template: 1.50 } }`,
      { text: { contentType: 'text/csv', template: '1.50' } },
    ],
  ])('is read from%s', (written, body) => {
    expect(bodyOf(written)).toEqual(body)
  })

  const KINDS = '`json`, `jsonColumn`, `fields`, `xml`, `form`, `text`'
  it.each([
    [' {}', `9:11 triggers.added.body: sync \`s\`: wanted one of ${KINDS}, found an empty map`],
    [` { wrap: x }`, `9:11 triggers.added.body: sync \`s\`: wanted one of ${KINDS}, found only \`wrap\``],
    [
      ` { json: a, xml: b }`,
      `9:22 triggers.added.body.xml: sync \`s\`: wanted one of ${KINDS}, found \`json\`, \`xml\``,
    ],
    [
      ` { json: a, wrap: b }`,
      '9:22 triggers.added.body.wrap: sync `s`: `wrap` cannot stand beside `json`; it goes with `jsonColumn`, `fields`',
    ],
    [
      ` { jsn: a }`,
      '9:13 triggers.added.body.jsn: sync `s`: unknown field `jsn`; did you mean `json`? The fields of `triggers.added.body` are ' +
        '`json`, `jsonColumn`, `wrap`, `fields`, `whenNull`, `xml`, `form`, `text`',
    ],
    [` '{}'`, `9:11 triggers.added.body: sync \`s\`: wanted a map with one of ${KINDS}, found \`{}\``],
    ['', `9:10 triggers.added.body: sync \`s\`: wanted a map with one of ${KINDS}, found nothing`],
    [` { form: x }`, '9:19 triggers.added.body.form: sync `s`: wanted a map, found `x`'],
    [` { form: { a: [] } }`, '9:24 triggers.added.body.form.a: sync `s`: wanted at least one value'],
    [
      ` { form: { a: { b: c } } }`,
      '9:24 triggers.added.body.form.a: sync `s`: wanted text, or a list, found a map',
    ],
    [
      ` { form: { __proto__: b } }`,
      '9:21 triggers.added.body.form.__proto__: sync `s`: no field can be called `__proto__`',
    ],
    [
      ` { text: { template: x } }`,
      '9:13 triggers.added.body.text.contentType: sync `s`: the field `contentType` is missing; wanted a media type such as text/csv',
    ],
    [
      ` { text: { contentType: "a\\r\\nX: y", template: x } }`,
      '9:34 triggers.added.body.text.contentType: sync `s`: wanted a media type such as text/csv, found `a X: y`',
    ],
  ])('of%s is refused', (written, problem) => {
    expect(problemsOf(written)).toEqual([problem])
  })
})

describe('a field mapper', () => {
  it('nests columns, fixed values and texts', () => {
    const fields = `
      fields:
        customer_first_name: first_name
        address: { street: street, zip: zip }
        tags: [tag1, tag2, { value: 3 }]
        year: 2024
        full: { template: "{{ row.first }} {{ row.last }}" }
        forced: { object: { value: a } }
        plain: { value: a, template: b }`
    expect(bodyOf(fields)).toEqual({
      fields: {
        customer_first_name: 'first_name',
        address: { street: 'street', zip: 'zip' },
        tags: ['tag1', 'tag2', { value: 3 }],
        year: '2024',
        full: { template: '{{ row.first }} {{ row.last }}' },
        forced: { object: { value: 'a' } },
        plain: { value: 'a', template: 'b' },
      },
    })
  })

  it.each([
    ['3', 3],
    ['-1.50', -1.5],
    ['1e3', 1000],
    ['true', true],
    ['null', null],
    ['~', null],
    ['web', 'web'],
    ['yes', 'yes'],
    ['"3"', '3'],
    ["'true'", 'true'],
    ['""', ''],
    ['2026-01-01', '2026-01-01'],
    ['[1, "1", true, [null]]', [1, '1', true, [null]]],
    ['{ a: 1, value: { b: "2" } }', { a: 1, value: { b: '2' } }],
    ['{}', {}],
    ['"${CHANNEL}"', 3],
    ['"${FLAG}"', true],
    ['"a${CHANNEL}"', 'a3'],
    ['"${ZIP}"', '0123'],

    ['"$${CHANNEL}"', '${CHANNEL}'],
  ])('keeps the type of the fixed value %s', (written, value) => {
    expect(bodyOf(`\n      fields:\n        x: { value: ${written} }`)).toEqual({ fields: { x: { value } } })
  })

  it.each([
    [
      '{ value: 9007199254740993 }',
      '11:21 triggers.added.body.fields.x.value: sync `s`: wanted a number that is kept with all its digits, found `9007199254740993`; quote it to have it as text',
    ],
    [
      '{ value: 0123 }',
      '11:21 triggers.added.body.fields.x.value: sync `s`: wanted a number as JSON writes it, found `0123`; quote it to have it as text',
    ],
    [
      '{ value: "${LONG}" }',
      '11:21 triggers.added.body.fields.x.value: sync `s`: wanted a number that is kept with all its digits, found `9007199254740993`; quote it to have it as text',
    ],
    [
      '{ value: .inf }',
      '11:21 triggers.added.body.fields.x.value: sync `s`: wanted a number as JSON writes it, found `.inf`; quote it to have it as text',
    ],
    [
      '{ value: 0.12345678901234567890 }',
      '11:21 triggers.added.body.fields.x.value: sync `s`: wanted a number that is kept with all its digits, found `0.12345678901234567890`; quote it to have it as text',
    ],
    [
      '\n          value:',
      '12:17 triggers.added.body.fields.x.value: sync `s`: wanted text, a number, true, false, null, a list or a map, found nothing (write "" for empty text)',
    ],
    [
      '',
      '11:12 triggers.added.body.fields.x: sync `s`: wanted a column, a list or a map of fields, found nothing',
    ],
    ['{ template: [a] }', '11:24 triggers.added.body.fields.x.template: sync `s`: wanted text, found a list'],
    [
      '"{{ row.id }}"',
      '11:12 triggers.added.body.fields.x: sync `s`: "{{ row.id }}" is no column; write { template: … } for a text',
    ],
  ])('refuses %s', (written, problem) => {
    expect(problemsOf(`\n      fields:\n        x: ${written}`)).toEqual([problem])
  })

  it('refuses a body that is nested without end', () => {
    const deep = `${'{ a: '.repeat(60)}b${' }'.repeat(60)}`
    expect(problemsOf(`\n      fields:\n        x: ${deep}`)[0]).toContain('too large or too deep')
  })
})

describe('a mistake in a template of a body', () => {
  it.each([
    [' { xml: "<a>{{ id | nofilter }}</a>" }', '9:30 triggers.added.body.xml'],
    [' { xml: "<a>" }', '9:19 triggers.added.body.xml'],
    [
      '\n      xml: |\n        <a>\n          {{ id | nofilter }}\n        </a>',
      '12:19 triggers.added.body.xml',
    ],
    [' { form: { b: x, a: "{{ id | nofilter }}" } }', '9:39 triggers.added.body.form.a'],
    [' { form: { a: [x, "{{ id | nofilter }}"] } }', '9:37 triggers.added.body.form.a[1]'],
    [
      ' { text: { contentType: text/csv, template: "{{ id | nofilter }}" } }',
      '9:63 triggers.added.body.text.template',
    ],
    [
      '\n      fields:\n        a:\n          - b\n          - { template: "{{ id | nofilter }}" }',
      '13:34 triggers.added.body.fields.a[1].template',
    ],
    [
      '\n      fields: { a: { object: { b: { template: "{{ id | nofilter }}" } } } }',
      '10:56 triggers.added.body.fields.a.object.b.template',
    ],
    ['\n      jsonColumn: doc\n      wrap: "{{ items | nofilter }}"', '11:25 triggers.added.body.wrap'],
    ['\n      jsonColumn: doc\n      wrap: "{}"', '11:13 triggers.added.body.wrap'],
    ['\n      xml: ${file:a.xml}', '10:12 triggers.added.body.xml'],
    [
      '\n      fields: { a: &t { template: "{{ x | nofilter }}" } }\n      wrap: "{{ items }}"',
      '10:43 triggers.added.body.fields.a.template',
    ],
  ])('is reported with its place in the file:%s', (written, place) => {
    const problems = problemsOf(written)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.split(': ')[0]).toBe(place)
  })

  it('is each told', () => {
    const body = '\n      form:\n        a: "{{ x | no1 }}"\n        b: "{{"\n        c: "{% nothing %}"'
    expect(problemsOf(body)).toHaveLength(3)
  })

  it('is a bare column in a batch', () => {
    const batch = '    batch: {}\n'
    expect(problemsOf(' { form: { a: "{{ row.id }}" } }', batch)[0]).toMatch(
      /^9:28 triggers.added.body.form.a: .*"row" is there for one row a request only/,
    )
    expect(problemsOf('\n      fields: { a: { template: "{{ row.id }}" } }', batch)).toEqual([])
  })
})
