/**
 * YAML as people write it: what each snippet means, or which problem is reported. In most of them YAML 1.1,
 * YAML 1.2, templates and editors disagree.
 */
import { describe, expect, it } from 'vitest'
import { decodeResource } from './decode/decode-resource.ts'
import { readDocuments } from './files/read-documents.ts'

const SYNC = 'kind: sync\nname: s\nmodel: m\ndestination: d\n'
const SOURCE = 'kind: source\nname: s\ntype: duckdb\n'
const DESTINATION = 'kind: destination\nname: d\nbaseUrl: https://x.test\n'
const MODEL = 'kind: model\nname: m\nsource: s\nprimaryKey: id\n'

/**
 * Reads a file's text: specs, documents that are passed over, and problems as `line:column field: message`.
 */
function read(text: string) {
  const found = readDocuments({ path: 'a.yaml', folder: '/p', text })
  const decoded = found.resources.map(document =>
    decodeResource(document, { env: { HOST: 'h' }, readFile: () => ({ problem: 'no file' }) }),
  )
  const problems = [...found.problems, ...decoded.flatMap(resource => resource.problems)]
  return {
    specs: decoded.map(({ spec }) => spec),
    skipped: found.skipped.length,
    problems: problems.map(
      ({ line, column, field, message }) => `${line ?? 0}:${column ?? 0} ${field ?? ''}: ${message}`,
    ),
  }
}

/** A sync whose added trigger has these lines, the first of them on line 8. */
function trigger(lines: string): string {
  return `${SYNC}triggers:\n  added:\n    method: POST\n    ${lines.replaceAll('\n', '\n    ')}\n`
}

describe('braces that YAML reads as they are written', () => {
  it.each([
    ['path: /customers/{{ id }}', '/customers/{{ id }}'],
    ['path: /c/{{ id }} # a comment', '/c/{{ id }}'],
    ['path: /c/{{ id }}?a={{ b }}&c={{ d | upcase }}', '/c/{{ id }}?a={{ b }}&c={{ d | upcase }}'],
    ['path: c/{{id}}/{{ row.x }}', 'c/{{id}}/{{ row.x }}'],
    ['path: /c/{% if a %}a{% else %}b{% endif %}', '/c/{% if a %}a{% else %}b{% endif %}'],
    ['path: /c/{{ a\n  }}/d', '/c/{{ a }}/d'],
    ['path: ${HOST}{{ id }}', 'h{{ id }}'],
    ['path: &p /c/{{ id }}', '/c/{{ id }}'],
    ['path: "{{ id }}"', '{{ id }}'],
    ['path: \'/c/{{ id | default: "none" }}\'', '/c/{{ id | default: "none" }}'],
    ['path: |-\n  /c/{{ id | default: "none" }}', '/c/{{ id | default: "none" }}'],
    ['path: >-\n  {{ id }}', '{{ id }}'],
    ['path: "{{ id }}" # {{ no', '{{ id }}'],
  ])('%j', (lines, path) => {
    const { specs, problems } = read(trigger(lines))
    expect(problems).toEqual([])
    expect(specs).toMatchObject([{ triggers: { added: { path } } }])
  })

  it('do not hide what is wrong elsewhere', () => {
    expect(read(trigger('path: /c/{{ id }}\nmethdo: x')).problems).toEqual([
      expect.stringMatching(/^9:5 triggers.added.methdo: .*did you mean `method`/),
    ])
    expect(read(trigger('path: /c/{{ id }}\nbody: { json: [ }')).problems.join()).not.toContain('quote it')
  })
})

describe('braces that YAML reads as something else have to be quoted', () => {
  it.each([
    ['path: {{ id }}', '8:11 triggers.added.path'],
    ['path: {{ id }}/x', '8:11 triggers.added.path'],
    ['path: {% if a %}x{% endif %}', '8:11 triggers.added.path'],
    ['path: /x/{{ a | default: "b" }}', '8:14 triggers.added.path'],
    ['path: /x/{{ a | split " #" }}', '8:14 triggers.added.path'],
    ['path: /x/{% if a == " #" %}y{% endif %}', '8:14 triggers.added.path'],
    ['path: /x/{{ a }}: y', '8:14 triggers.added.path'],
    ['path: /x/{{ a }}:', '8:14 triggers.added.path'],
    ['path: - {{ a }}', '8:13 triggers.added.path'],
    ['path: |{{ a }}', '8:12 triggers.added.path'],
    ['path: "/x"{{ a }}', '8:15 triggers.added.path'],
    ['path: [{{ a }}]', '8:12 triggers.added.path'],
    ['path: /x\nheaders: { A: {{ a }} }', '9:19 triggers.added.headers.A'],
    ['path: /x\nheaders: { A: /x/{{ a }} }', '9:22 triggers.added.headers.A'],
    ['path: /x\nheaders:\n  A: {{ a }}', '10:10 triggers.added.headers.A'],
    ['path: /x\nbody: { json: {{ row | json }} }', '9:19 triggers.added.body.json'],
    ['path: /x\nbody:\n  json: {"id": {{ id }}}', '10:20 triggers.added.body.json'],
    [
      'path: /x\nbody:\n  json: [{% for r in rows %}{{ r.id }}{% endfor %}]',
      '10:14 triggers.added.body.json',
    ],
    ['path: /x\nbody: { json: [ ${HOST} ] }', '9:21 triggers.added.body.json'],
  ])('%j', (lines, place) => {
    const { problems } = read(trigger(lines))
    expect(problems).toEqual([expect.stringMatching(/an unquoted `(\{\{|\{%|\$\{)` .* quote it/)])
    expect(problems[0]?.split(': ')[0]).toBe(place)
  })
})

describe('numbers', () => {
  const concurrency = (written: string) => read(`${DESTINATION}limits:\n  concurrency: ${written}\n`)

  it.each([
    ['10', 10],
    ['1e3', 1000],
    ['1.0', 1],
    ['+5', 5],
    ['!!int "5"', 5],
    ['${NONE:-7}', 7],
  ])('%s is %d', (written, value) => {
    expect(concurrency(written)).toMatchObject({ problems: [], specs: [{ limits: { concurrency: value } }] })
  })

  it.each([
    ['010', 'wanted a number without leading zeros, found `010`: write 10, or 8 if octal is meant'],
    ['-010', 'wanted a number without leading zeros, found `-010`: write -10, or -8 if octal is meant'],
    ['08', 'wanted a number without leading zeros, found `08`: write 8'],
    ['00', 'wanted a number without leading zeros, found `00`: write 0'],
    ['007', 'wanted a number without leading zeros, found `007`: write 7'],
    ['01.5', 'wanted a number without leading zeros, found `01.5`: write 1.5'],
    ['0x10', 'wanted a decimal number, found `0x10`: write 16'],
    ['0o10', 'wanted a decimal number, found `0o10`: write 8'],
    ['1_000', 'found `1_000` (write 1000)'],
    ['10,000', 'found `10,000` (write 10000)'],
    ['１０', 'found `１０` (write 10)'],
    ['"10"', 'found the text "10" (take the quotes away)'],
    ['!!str 10', 'found `10` with the tag `!!str` (take it away)'],
    ['${NONE:-010}', 'found `010` from `${NONE:-010}`'],
    ['0b11', 'found `0b11`'],
    ['1:30', 'found `1:30`'],
    ['.inf', 'found `.inf`'],
    ['.nan', 'found `.nan`'],
    ['~', 'found `~`'],
    ['yes', 'found `yes`'],
    ['', 'found nothing'],
  ])('%s is refused', (written, message) => {
    const { problems } = concurrency(written)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^5:(15|16|22) limits.concurrency: destination `d`: wanted /)
    expect(problems[0]?.endsWith(message)).toBe(true)
  })
})

describe('switches and text', () => {
  it.each(['no', 'NO', 'off', 'n', 'yes', 'on', 'true', 'null', '~'])(
    'an idempotencyHeader of %s is refused, because nobody means a header of that name',
    written => {
      expect(read(`${DESTINATION}idempotencyHeader: ${written}\n`).problems).toEqual([
        `4:20 idempotencyHeader: destination \`d\`: wanted a text or \`false\`, found \`${written}\`: write \`false\`, or quote it to have it as text`,
      ])
      expect(read(`${DESTINATION}idempotencyHeader: "no"\n`).specs).toMatchObject([
        { idempotencyHeader: 'no' },
      ])
      expect(read(`${DESTINATION}idempotencyHeader: False\n`).specs).toMatchObject([
        { idempotencyHeader: false },
      ])
    },
  )

  it.each([
    '010',
    '0x10',
    '1_000',
    '1e3',
    '.inf',
    'yes',
    'Off',
    '~',
    '2026-01-31',
    '1:30:00',
    '!!str 010',
    '"010"',
  ])('the title %s is as it is written', written => {
    const title = written.replace('!!str ', '').replaceAll('"', '')
    expect(read(`${SOURCE}path: p\ntitle: ${written}\n`)).toMatchObject({ problems: [], specs: [{ title }] })
  })

  it.each([
    [`sql: >-   \n  select 1   \n  from x  \n`, 'select 1    from x  '],
    [`sql: |+\n  select 1  \n\n`, 'select 1  \n\n'],
    [`sql: |2\n    select 1\n`, '  select 1\n'],
    [`sql: select 1 # one\n`, 'select 1'],
    [`sql: select '#1', "a" from 'b:c'\n`, `select '#1', "a" from 'b:c'`],
    [`sql: select ${'x'.repeat(200_000)}\n`, `select ${'x'.repeat(200_000)}`],
    [`sql: "select \\\n  1"\n`, 'select 1'],
    [`sql: select\n  1\n\n  from x\n`, 'select 1\nfrom x'],
  ])('a query as in %.30j', (lines, sql) => {
    expect(read(`${MODEL}${lines}`)).toMatchObject({ problems: [], specs: [{ sql }] })
  })

  it.each([
    [`${MODEL}sql: select a: b\n`, /5:6 .*a `: ` begins a map here; quote a text that has one/],
    [`${MODEL}sql: 'it's'\n`, /5:10 sql: .*a quote ends a text/],
    [`${MODEL}sql: "a" from x\n`, /5:10 sql: .*a quote ends a text/],
    [`${MODEL}sql: @x\n`, /5:6 sql: this is not YAML: Plain value cannot start with reserved character @/],
    [`${SOURCE}path: "x\\ud800"\n`, /4:7 path: .*wanted text without half a character/],
    [`${SOURCE}path: "x\\0"\n`, /4:7 path: .*wanted text without a NUL character/],
    [`${DESTINATION}query: { "A\\0": x }\n`, /4:10 query.*wanted a name without a NUL character/],
    [`${SOURCE}path: a\u001bb\n`, /4:8 path: YAML has no control characters, found U\+001B; .* write \\x1b/],
    [`${SOURCE}path: !!binary aGk=\n`, /YAML tags are not supported, found `!!binary`/],
    [`${SOURCE}path: !Ref x\n`, /YAML tags are not supported/],
    [
      trigger('path: /x\nbody:\n  json: {"id": 1}'),
      /found a map \(quote JSON, or write it as a block after `\|`\)/,
    ],
    [
      trigger('path: /x\nbody:\n  json: [1]'),
      /found a list \(quote JSON, or write it as a block after `\|`\)/,
    ],
    [`${SYNC}triggers: { added: { method: post, path: /x } }\n`, /found `post`; did you mean `POST`\?/],
  ])('%.60j is refused', (text, message) => {
    const { problems } = read(text)
    expect(problems).toEqual([expect.stringMatching(message)])
  })
})

describe('what a document is', () => {
  const RESOURCE = `${SOURCE}path: p\n`
  it.each([
    ['a merge of its kind', '<<: { kind: source, type: duckdb }\nname: s\npath: p\n'],
    ['a merge of a list', '<<: [{ kind: source }, { kind: sync, type: duckdb }]\nname: s\npath: p\n'],
    ['aliases for its kind and type', 'title: &k source\nkind: *k\nname: &d duckdb\ntype: *d\npath: p\n'],
    ['quoted keys', '"kind": source\n\'name\': s\ntype: duckdb\npath: p\n'],
    ['explicit keys', '? kind\n: source\nname: s\ntype: duckdb\npath: p\n'],
    ['flow style', '{kind: source, name: s, type: duckdb, path: p}'],
    ['spaces before colons', 'kind : source\nname : s\ntype: duckdb\npath: p\n'],
    ['tabs after colons', 'kind:\tsource\nname:\ts\ntype: duckdb\npath: p\n'],
    ['core tags', 'kind: !!str source\nname: s\ntype: duckdb\npath: p\n'],
    ['CRLF', RESOURCE.replaceAll('\n', '\r\n')],
    ['carriage returns alone', RESOURCE.replaceAll('\n', '\r')],
    ['a byte order mark', `\ufeff${RESOURCE}`],
    ['a byte order mark after a document of comments', `# a\n---\n\ufeff${RESOURCE}`],
    ['a byte order mark before the line of dashes', `# a\n\ufeff---\n${RESOURCE}`],
    ['the version that is right', `%YAML 1.2\n---\n${RESOURCE}`],
    ['comments all around', `# a\n---\n# b\n${RESOURCE}# c\n---\n# d\n`],
    ['an end', `${RESOURCE}...\n`],
  ])('one with %s is read', (_what, text) => {
    expect(read(text)).toMatchObject({ problems: [], skipped: 0, specs: [{ kind: 'source', path: 'p' }] })
  })

  it.each([
    ['', 0],
    ['\n\n', 0],
    ['# only a comment\n', 0],
    ['---\n# a\n---\n', 0],
    ['\ufeff', 0],
    ['services: { web: { image: x } }\n', 1],
    ['a: [1\n', 1],
    ['just text\n', 1],
    ['apiVersion: v1\nkind: source\n', 1],
    ['<<: { apiVersion: v1 }\nkind: source\n', 1],
    ['Kind: Deployment\nname: x\n', 1],
  ])('%j is passed over', (text, skipped) => {
    expect(read(text)).toEqual({ problems: [], specs: [], skipped })
  })

  it.each([
    ['Kind: source\nname: s\n', '1:1 Kind: `Kind` is not a field; write `kind`'],
    ['KIND: Sync\nname: s\n', '1:1 KIND: `KIND` is not a field; write `kind`'],
    ['\u200bkind: source\n', '1:1 \u200bkind: `<U+200B>kind` is not a field; write `kind`'],
    [
      'base: &b { kind: source }\n---\n<<: *b\nname: s\n',
      '3:5 <<: there is no anchor `&b` before this in the same document, and only there does `<<` find one',
    ],
    ['kind: Source\nname: s\n', /^1:7 kind: unknown kind `Source`; did you mean `source`/],
    ['kind:source\nname: s\n', /a field is written `name: value`, with a space after the colon/],
    ['\tkind: source\n', /^1:1 : YAML is indented with spaces, found a tab/],
    ['kind: source\nname: s\n\ttype: duckdb\n', /YAML is indented with spaces, found a tab/],
    [`${SOURCE}path: p\npa\u00a0th: p\n`, /^5:1 .*unknown field `pa<U\+00A0>th`; did you mean `path`/],
    ['kind: source\nname: s\u00a0\ntype: duckdb\npath: p\n', /found `s<U\+00A0>`$/],
    [
      'kind: source\nkind: model\nname: s\ntype: duckdb\npath: p\n',
      /^2:1 kind: .*a second `kind`: write a line `---` between two resources/,
    ],
    [`%YAML 1.1\n---\n${RESOURCE}`, /wanted YAML 1.2, found `%YAML 1.1`/],
  ])('%j is told', (text, message) => {
    const { problems, skipped } = read(text)
    expect(problems).toEqual([typeof message === 'string' ? message : expect.stringMatching(message)])
    expect(skipped).toBe(text.startsWith('base') ? 1 : 0)
  })

  it('has keys of its own, of merges, and of an anchor that is written twice', () => {
    const text = `${DESTINATION}headers:\n  <<: [{ A: "1", B: "2" }, { B: "3", C: "4" }]\n  C: &x "5"\n  D: *x\n  E: &x "6"\n  F: *x\n`
    expect(read(text)).toMatchObject({
      problems: [],
      specs: [{ headers: { A: '1', B: '2', C: '5', D: '5', E: '6', F: '6' } }],
    })
  })
})
