import type { ErrorDetail } from '@sluice/contracts/errors'
import { describe, expect, it } from 'vitest'
import { decodeResource } from './decode-resource.ts'
import { readDocuments } from '../files/read-documents.ts'

const FILES: { readonly [path: string]: string } = { 'ca.pem': 'PEM\nTEXT\n', 'body.liquid': '{"a": 1}' }
const ENV = {
  URL: 'https://api.example.com',
  EMPTY: '',
  SIZE: '7',
  YES: 'true',
  INJECT: '${secret:x}',
  LOGIN: 'http://u:pw@h',
}

/** Decodes a file's text, without a file. */
function decode(text: string) {
  const read = readDocuments({ path: 'a.yaml', folder: '/p', text })
  const decoded = read.resources.map(document =>
    decodeResource(document, {
      env: ENV,
      readFile: (folder, path) => {
        const found = FILES[path]
        return found === undefined ? { problem: `no ${folder}/${path}` } : { text: found }
      },
    }),
  )
  return { decoded, problems: [...read.problems, ...decoded.flatMap(({ problems }) => problems)], read }
}

function specOf(text: string): unknown {
  const { decoded, problems } = decode(text)
  expect(problems).toEqual([])
  return decoded[0]?.spec
}

/** The only problem, as `line:column field: message`. */
function problemOf(text: string): string {
  const { problems } = decode(text)
  expect(problems.map(asText)).toHaveLength(1)
  return problems.map(asText).join()
}

function asText({ line, column, field, message }: ErrorDetail): string {
  return `${[line, column].join(':')} ${field ?? ''}: ${message}`
}

const SOURCE = 'kind: source\nname: shop\ntype: duckdb\n'
const MODEL = 'kind: model\nname: m\nsource: s\nsql: select 1\n'
const DESTINATION = 'kind: destination\nname: d\nbaseUrl: https://x\n'
const SYNC = 'kind: sync\nname: s\nmodel: m\ndestination: d\n'
const TRIGGER = 'triggers:\n  added:\n    method: POST\n    path: /x\n'

describe('scalars', () => {
  it.each(['3.10', '0123', 'yes', '1e3', 'true', 'null', '0x1F', '2026-01-01', '1_000', '~', '.5', '+1'])(
    'takes %s as written where text is wanted',
    written => {
      expect(specOf(`${SOURCE}path: p\ntitle: ${written}\n`)).toMatchObject({ title: written })
    },
  )

  it('takes keys and list items as written too', () => {
    expect(specOf(`${DESTINATION}headers: { 3.10: 0123, yes: no }\n`)).toMatchObject({
      headers: { '3.10': '0123', yes: 'no' },
    })
    expect(specOf(`${MODEL}primaryKey: [1, 02]\n`)).toMatchObject({ primaryKey: ['1', '02'] })
  })

  it('keeps quoted and block text as it is', () => {
    expect(specOf(`${SOURCE}path: "a\\tb"\ntitle: 'it''s'\n`)).toMatchObject({ path: 'a\tb', title: "it's" })
    expect(
      specOf(`kind: model\nname: m\nsource: s\nprimaryKey: id\nsql: |\n  select 1\n   from x\n`),
    ).toMatchObject({
      sql: 'select 1\n from x\n',
    })
  })

  it('reads numbers and booleans where they are wanted', () => {
    expect(specOf(`${SYNC}${TRIGGER}partitions: 8\n`)).toMatchObject({ partitions: 8 })
    expect(specOf(`${DESTINATION}idempotencyHeader: false\n`)).toMatchObject({ idempotencyHeader: false })
    expect(specOf(`${DESTINATION}idempotencyHeader: X-Key\n`)).toMatchObject({ idempotencyHeader: 'X-Key' })
  })

  it.each([
    [
      'partitions: "8"',
      '9:13 partitions: sync `s`: wanted a whole number from 1 to 64, found the text "8" (take the quotes away)',
    ],
    ['partitions: 0', '9:13 partitions: sync `s`: wanted a whole number from 1 to 64, found `0`'],
    ['partitions: 1.5', '9:13 partitions: sync `s`: wanted a whole number from 1 to 64, found `1.5`'],
    ['partitions: many', '9:13 partitions: sync `s`: wanted a whole number from 1 to 64, found `many`'],
    ['partitions: [4]', '9:13 partitions: sync `s`: wanted a whole number from 1 to 64, found a list'],
    ['partitions:', '9:12 partitions: sync `s`: wanted a whole number from 1 to 64, found nothing'],
    [
      'timeout: 30',
      '9:10 timeout: sync `s`: wanted a duration such as 250ms, 30s, 15m, 1h or 7d, found `30`',
    ],
    ['timeout: 2h', '9:10 timeout: sync `s`: wanted a duration of at most 1h, found `2h`'],
    ['title:', '9:7 title: sync `s`: wanted text, found nothing (write "" for empty text)'],
    ['title: {}', '9:8 title: sync `s`: wanted text, found a map'],
    [
      'firstRun: backfil',
      '9:11 firstRun: sync `s`: wanted one of `backfill`, `skip-existing`, `ask`, found `backfil`; did you mean `backfill`?',
    ],
  ])('says where and how %j is wrong', (line, problem) => {
    expect(problemOf(`${SYNC}${TRIGGER}${line}\n`)).toBe(problem)
  })
})

describe('fields', () => {
  it('names the nearest field and all others for an unknown one', () => {
    expect(problemOf(`${SOURCE}path: p\npth: q\n`)).toBe(
      '5:1 pth: source `shop`: unknown field `pth`; did you mean `path`? The fields are `name`, `title`, `type`, `path`, `timeout`',
    )
    expect(problemOf(`${SYNC}${TRIGGER}    methd: GET\n`)).toBe(
      '9:5 triggers.added.methd: sync `s`: unknown field `methd`; did you mean `method`? The fields of `triggers.added` are ' +
        '`batch`, `method`, `path`, `headers`, `body`, `capture`, `allowEmpty`',
    )
  })

  it('names a missing field where its map begins', () => {
    expect(problemOf(SOURCE)).toBe('1:1 path: source `shop`: the field `path` is missing; wanted text')
    expect(problemOf(`${SYNC}triggers:\n  added:\n    path: /x\n`)).toBe(
      '6:3 triggers.added.method: sync `s`: the field `method` is missing; wanted one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`',
    )
    expect(problemOf('kind: source\ntype: duckdb\npath: x\n')).toMatch(
      /^1:1 name: source: the field `name` is missing; wanted a name/,
    )
  })

  it('wants at least one trigger', () => {
    expect(problemOf(`${SYNC}triggers: {}\n`)).toBe(
      '5:11 triggers: sync `s`: wanted at least one trigger: added, changed or removed',
    )
    const wanted = 'wanted a map with at least one trigger: added, changed or removed'
    expect(problemOf(SYNC)).toBe(`1:1 triggers: sync \`s\`: the field \`triggers\` is missing; ${wanted}`)
    expect(problemOf(`${SYNC}triggers:\n`)).toBe(`5:10 triggers: sync \`s\`: ${wanted}, found nothing`)
  })

  it('knows the names of triggers', () => {
    expect(problemOf(`${SYNC}${TRIGGER}  changed: aded\n`)).toBe(
      '9:12 triggers.changed: sync `s`: wanted a map, or one of `added`, `changed`, `removed`, found `aded`; did you mean `added`?',
    )
    expect(problemOf(`${SYNC}triggers:\n  add: added\n`)).toMatch(
      /^6:3 triggers.add: sync `s`: unknown field `add`; did you mean `added`\? The fields of `triggers` are/,
    )
  })

  it('reports every problem of a document', () => {
    const { problems } = decode(`kind: sync\nname: S\nmodel: m\nfoo: 1\npartitions: x\ntriggers: [a]\n`)
    expect(problems.map(asText).map(text => text.split(':', 3).slice(0, 3).join(':'))).toEqual([
      '2:7 name: sync `S`',
      '5:13 partitions: sync `S`',
      '6:11 triggers: sync `S`',
      '4:1 foo: sync `S`',
      '1:1 destination: sync `S`',
    ])
  })

  it('asks for `{}` where an empty map was meant', () => {
    expect(problemOf(`${SYNC}${TRIGGER}    batch:\n`)).toMatch(
      /wanted a map, found nothing \(write `{}` for the defaults\)$/,
    )
    expect(specOf(`${SYNC}${TRIGGER}    batch: {}\n`)).toMatchObject({
      triggers: { added: { batch: { size: 100, bytes: 1_000_000 } } },
    })
  })

  it('takes one rate or several', () => {
    expect(specOf(`${DESTINATION}limits: { rate: { requests: 5, per: 10s } }\n`)).toMatchObject({
      limits: { rate: { requests: 5, per: 10_000 } },
    })
    expect(specOf(`${DESTINATION}limits:\n  rate:\n    - { requests: 5, per: second }\n`)).toMatchObject({
      limits: { rate: [{ requests: 5, per: 'second' }] },
    })
    expect(problemOf(`${DESTINATION}limits:\n  rate:\n    - { requests: 5, per: secnd }\n`)).toBe(
      '6:27 limits.rate[0].per: destination `d`: wanted one of `second`, `minute`, `hour`, or a duration such as 250ms, 30s, 15m, 1h or 7d, ' +
        'found `secnd`; did you mean `second`?',
    )
  })

  it('checks the names of headers', () => {
    expect(problemOf(`${DESTINATION}headers: { "X Key": a }\n`)).toMatch(
      /^4:12 headers.X Key: .*wanted a header name.*found `X Key`$/,
    )
  })

  it('says what reads topics of Debezium to people who take it for a type of source', () => {
    const DEBEZIUM = 'kind: source\nname: cdc\ntype: debezium\ntopic: shop.orders\n'
    expect(problemOf(DEBEZIUM)).toBe(
      '3:7 type: source `cdc`: wanted one of `duckdb`, `sqlite`, `postgres`, `mysql`, `kafka`, found `debezium`; ' +
        '`kafka` reads the topics of Debezium, for models with `topic` and `format: debezium`',
    )
    const ofConnector = DEBEZIUM.replace('debezium', 'debezium-postgres')
    expect(problemOf(ofConnector)).toContain('`kafka` reads the topics of Debezium')
  })

  it('names the nearest field', () => {
    expect(problemOf(`${SYNC}${TRIGGER}    body: { jsn: x }\n`)).toMatch(
      /unknown field `jsn`; did you mean `json`\?/,
    )
  })

  it('names the nearest kind', () => {
    expect(problemOf('kind: sorce\nname: a\n')).toBe(
      '1:7 kind: unknown kind `sorce`; did you mean `source`?; wanted one of `source`, `model`, `destination`, `sync`, `alert`',
    )
    expect(problemOf('kind: [source]\nname: a\n')).toMatch(/^1:7 kind: unknown kind/)
  })
})

describe('references', () => {
  it('fills in the environment, with defaults for what is unset or empty', () => {
    expect(specOf(`${SOURCE}path: a/\${URL}/\${NONE:-d}/\${EMPTY:-e}/\${EMPTY}/\${NONE:-}\n`)).toMatchObject({
      path: 'a/https://api.example.com/d/e//',
    })
  })

  it('fills in files as they are', () => {
    expect(specOf(`${SOURCE}path: x\ntitle: "<\${file:ca.pem}>"\n`)).toMatchObject({ title: '<PEM\nTEXT\n>' })
  })

  it('takes `$${` for a literal `${`', () => {
    expect(specOf(`${SOURCE}path: x\ntitle: $\${URL} $ { }\n`)).toMatchObject({ title: '${URL} $ { }' })
  })

  it('lets one reference stand for a number or boolean, and nothing else', () => {
    expect(specOf(`${SYNC}${TRIGGER}partitions: \${SIZE}\n`)).toMatchObject({ partitions: 7 })
    expect(specOf(`${SYNC}${TRIGGER}partitions: "\${NONE:-9}"\n`)).toMatchObject({ partitions: 9 })
    expect(specOf(`${DESTINATION}idempotencyHeader: \${NONE:-false}\n`)).toMatchObject({
      idempotencyHeader: false,
    })
    expect(problemOf(`${SYNC}${TRIGGER}partitions: 1\${SIZE}\n`)).toMatch(
      /wanted a whole number.*found `17` from `1\$\{SIZE\}`$/,
    )
    expect(problemOf(`${SYNC}${TRIGGER}partitions: \${URL}\n`)).toMatch(
      /wanted a whole number.*found `https.* from `\$\{URL\}`$/,
    )
    expect(specOf(`${SOURCE}path: x\ntitle: \${SIZE}\n`)).toMatchObject({ title: '7' })
    expect(problemOf(`kind: destination\nname: d\nbaseUrl: \${LOGIN}\n`)).toMatch(
      /wanted an http.* found the value of `\$\{LOGIN\}`$/,
    )
  })

  it.each([
    ['${NONE}', 'the environment variable `NONE` is not set; set it, or give a default: `${NONE:-…}`'],
    [
      '${URLS}',
      'the environment variable `URLS` is not set (there is `URL`); set it, or give a default: `${URLS:-…}`',
    ],
    ['${file:gone.txt}', 'no /p/gone.txt'],
    ['${url}', '`${url}` is not a reference'],
    ['${}', '`${}` is not a reference'],
    ['${A B}', '`${A B}` is not a reference'],
    ['${URL', '`${URL` has no closing `}`'],
    [
      '${secret:x}',
      '`${secret:x}` is not allowed here: a secret may stand only in the `headers`, `query`, `auth` and `tls` of a destination',
    ],
  ])('says what is wrong with %s', (reference, problem) => {
    const told = problemOf(`${SOURCE}path: x\ntitle: '${reference}'\n`)
    expect(told).toMatch(/^5:8 title: source `shop`: /)
    expect(told).toContain(problem)
  })

  it('keeps references to secrets in headers and query, and makes no other text a reference', () => {
    const spec = specOf(
      `${DESTINATION}headers: { A: "Bearer \${secret:a-b}", B: "\${INJECT}", C: "$\${secret:x}" }\nquery: { k: "\${secret:k}" }\n`,
    )
    expect(spec).toMatchObject({
      headers: { A: 'Bearer ${secret:a-b}', B: '$${secret:x}', C: '$${secret:x}' },
      query: { k: '${secret:k}' },
    })
    expect(problemOf(`${DESTINATION}headers: { A: "\${secret:A_B}" }\n`)).toMatch(
      /`A_B` is not the name of a secret/,
    )
    const at = (baseUrl: string): string => `kind: destination\nname: d\nbaseUrl: "${baseUrl}"\n`
    expect(specOf(at('https://h/hooks/${secret:a}'))).toMatchObject({
      baseUrl: 'https://h/hooks/${secret:a}',
    })
    expect(problemOf(at('https://${secret:host}/x'))).toMatch(/a secret stands in the path alone/)
    expect(problemOf(`${DESTINATION}title: "\${secret:a}"\n`)).toMatch(/not allowed here/)
  })
})

describe('YAML', () => {
  it('follows anchors and merges, where own fields win over merged ones', () => {
    const text =
      `${SYNC}triggers:\n  added: &post\n    method: POST\n    path: /a\n    headers: &h { A: "1" }\n` +
      `  changed:\n    <<: *post\n    path: /c\n  removed:\n    path: /r\n    <<: [{ method: DELETE }, *post]\n    headers: *h\n`
    expect(specOf(text)).toMatchObject({
      triggers: {
        changed: { method: 'POST', path: '/c', headers: { A: '1' } },
        removed: { method: 'DELETE', path: '/r', headers: { A: '1' } },
      },
    })
  })

  it('refuses anchors that contain themselves, and anchors that grow without end', () => {
    expect(decode(`${DESTINATION}limits: &l\n  rate: *l\n`).problems[0]?.message).toMatch(
      /unknown field `rate`/,
    )
    const bomb = Array.from(
      { length: 20 },
      (_, i) => `  a${i}: &a${i} [${i === 0 ? 'x' : `*a${i - 1}, *a${i - 1}`}]`,
    )
    expect(decode(`${DESTINATION}headers:\n${bomb.join('\n')}\n`).problems.length).toBeLessThan(50)
    const merges = `${DESTINATION}headers: &h\n  A: b\n  <<: [*h, *h]\n`
    expect(problemOf(merges)).toMatch(/merges a map into itself/)
    expect(problemOf(`${DESTINATION}headers:\n  <<: text\n`)).toMatch(
      /wanted a map, or a list of maps, to merge/,
    )
  })

  it.each([
    [
      'name: a\nname: b\n',
      '2:1 name: source `a`: the field `name` stands twice in the same map; keep one of them',
    ],
    [
      '1: a\n"1": b\nname: x\n',
      '2:1 1: source `x`: the field `1` stands twice in the same map; keep one of them',
    ],
    ['name: [a\n', null],
    ['name: a\n\tb: c\n', null],
    ['name: !env X\n', '1:7 name: YAML tags are not supported (Unresolved tag: !env)'],
    ['name: *nowhere\n', null],
  ])('refuses %j', (lines, problem) => {
    const { problems } = decode(`${lines}kind: source\ntype: duckdb\npath: x\n`)
    expect(problems.length).toBeGreaterThan(0)
    if (problem !== null) expect(problems.map(asText)).toContain(problem)
  })

  it.each([
    ['path: {{ row.id }}', 8, 11],
    ['path: {{ row.id | replace: "a", "b" }}/x', 8, 11],
    ['path: /x/{{ row.id | replace: "a", "b" }}', 8, 14],
    ['headers: { A: /x/{{ row.id }} }', 8, 22],
    ['headers: { A: {{ row.id }} }', 8, 19],
  ])('says to quote the braces of %s', (line, at, column) => {
    const { problems } = decode(
      `${SYNC}triggers:\n  added:\n    method: POST\n    ${line}\n    ${line.startsWith('path') ? '' : 'path: /x'}\n    body: { json: "x" }\n`,
    )
    expect(problems).toHaveLength(1)
    expect(problems[0]?.field).toMatch(/^triggers.added.(path|headers)/)
    expect(problems[0]).toMatchObject({ line: at, column, message: expect.stringContaining('quote it') })
  })

  it('takes quoted and block templates', () => {
    const text = `${SYNC}triggers:\n  added:\n    method: POST\n    path: "/x/{{ row.id }}"\n    body:\n      json: |\n        {{ row.id }}\n`
    expect(specOf(text)).toMatchObject({
      triggers: { added: { path: '/x/{{ row.id }}', body: { json: '{{ row.id }}\n' } } },
    })
  })

  it('says to quote references inside braces', () => {
    expect(problemOf(`${DESTINATION}headers: { A: \${URL} }\n`)).toMatch(
      /^4:15 headers.A: an unquoted `\$\{` means something else in YAML: quote it/,
    )
  })

  it('passes over documents of other tools, even broken ones', () => {
    const text = [
      'apiVersion: v1\nkind: Pod\n',
      'services: {}\n',
      '- a\n- b\n',
      'text\n',
      '# nothing\n',
      '{{- if .x }}\napiVersion: v1\nkind: Pod\n{{- end }}\n',
      'a: [1\n',
      SOURCE + 'path: x\n',
    ].join('---\n')
    const { read, problems } = decode(text)
    expect(problems).toEqual([])
    expect(read.resources).toHaveLength(1)
    expect(read.skipped.map(({ line, reason }) => `${line} ${reason}`)).toEqual([
      '1 has apiVersion',
      '4 has no kind',
      '6 has no kind',
      '9 has no kind',
      '13 has no kind',
      '18 has no kind',
    ])
  })

  it('reads several documents, CRLF line ends and a byte order mark', () => {
    const { decoded, problems } = decode(
      `\ufeff${SOURCE}path: x\n---\n${DESTINATION}...\n---\n`.replaceAll('\n', '\r\n'),
    )
    expect(problems).toEqual([])
    expect(decoded.map(({ spec }) => spec?.name)).toEqual(['shop', 'd'])
  })

  it('refuses YAML 1.1', () => {
    expect(problemOf(`%YAML 1.1\n---\n${SOURCE}path: x\n`)).toMatch(/wanted YAML 1.2, found `%YAML 1.1`/)
  })

  it('reads large and deep text in seconds, and reports only a few of its errors', () => {
    const large = Array.from({ length: 20_000 }, (_, index) => `k${index}: v`).join('\n  ')
    expect(decode(`other: text\nmap:\n  ${large}\n`).problems).toEqual([])
    expect(
      specOf(
        `${DESTINATION}headers:\n  ${large
          .replaceAll('\n  ', '\n  ')
          .slice(0, 50_000)
          .replace(/\n[^\n]*$/, '')}\n`,
      ),
    ).toBeDefined()
    for (const deep of ['['.repeat(50_000), '{a: '.repeat(5000), `${'- '.repeat(5000)}a`]) {
      const { problems } = decode(`kind: source\na: ${deep}`)
      expect(problems.length).toBeGreaterThan(0)
      expect(problems.length).toBeLessThan(10)
    }
  }, 30_000)

  it('never throws for nonsense', () => {
    for (const text of [
      'kind',
      'kind:',
      'kind: {',
      '? {kind: a}\n: b\nkind: source',
      '\0kind: a',
      'kind: &a *a',
      '<<: {kind: source}',
      '%',
      '--- !!map\nkind: source',
    ]) {
      expect(() => decode(text)).not.toThrow()
    }
  })
})
