/**
 * Mistakes that people make who know other tools: the message says what was meant, with an example to copy.
 */
import { describe, expect, it } from 'vitest'
import { checkSchedules } from './checks/check-paths-and-schedules.ts'
import { checkTexts } from './checks/check-texts.ts'
import { decodeResource } from './decode/decode-resource.ts'
import { singleBrace } from './decode/meant.ts'
import { readDocuments } from './files/read-documents.ts'

const SYNC = 'kind: sync\nname: s\nmodel: m\ndestination: d\n'
const TRIGGER = `${SYNC}triggers:\n  added:\n    method: POST\n`
const DESTINATION = 'kind: destination\nname: d\nbaseUrl: http://x\n'

function problemsOf(text: string): readonly string[] {
  const read = readDocuments({ path: 'a.yaml', folder: '/p', text })
  const decoded = read.resources.map(document =>
    decodeResource(document, { env: {}, readFile: () => ({ text: '' }) }),
  )
  const checked = [...checkTexts(decoded), ...checkSchedules(decoded)]
  const problems = [...read.problems, ...decoded.flatMap(one => one.problems), ...checked]
  return problems.map(({ line, column, message }) => `${[line, column].join(':')} ${message}`)
}

describe('a mistake that people make', () => {
  it.each([
    [
      `${SYNC}schedule: "*/5 * * * *"\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:11 .*; write `\{ cron: "\*\/5 \* \* \* \*" \}`$/,
    ],
    [
      `${SYNC}schedule: 15m\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:11 .*; write `\{ every: 15m \}`$/,
    ],
    [
      `${SYNC}schedule: daily\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:11 .*wanted `manual`, `continuous`, a map such as `\{ every: 15m \}`, or one such as `\{ cron: .* \}`, found `daily`$/,
    ],
    [
      `${SYNC}schedule: { every: 200ms }\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:20 .*wanted a duration of at least 1s, found `200ms`$/,
    ],
    [
      `${SYNC}schedule: { every: 1h, timezone: UTC }\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:24 .*`timezone` cannot stand beside `every`; it goes with `cron`$/,
    ],
    [
      `${SYNC}schedule: { cron: "0 */5 * * * *" }\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:19 .*found 6; a schedule by cron has no seconds: leave out `0`, or write `\{ every: 10s \}`$/,
    ],
    [
      `${SYNC}schedule: { cron: "61 * * * *" }\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:19 .*invalid value for minute: 61$/,
    ],
    [
      `${SYNC}schedule: { cron: "0 6 * * *", timezone: Europe/Pari }\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:42 .*there is no time zone `Europe\/Pari`; did you mean `Europe\/Paris`\?$/,
    ],
    [`${DESTINATION}limits: { rate: 50 }\n`, /^4:17 .*; write `\{ requests: 50, per: second \}`$/],
    [`${DESTINATION}limits: { rate: 600/min }\n`, /^4:17 .*; write `\{ requests: 600, per: minute \}`$/],
    [`${DESTINATION}limits: 50\n`, /^4:9 .*; write `\{ rate: \{ requests: 50, per: second \} \}`$/],
    [`${TRIGGER}    path: /x\n    batch: 100\n`, /^9:12 .*; write `\{ size: 100 \}`$/],
    [
      `${TRIGGER}    path: /x/{{ row.id }\n`,
      /^8:14 .*`\{\{ row.id \}` ends in a single brace; write `\{\{ row.id \}\}`$/,
    ],
    [
      `${TRIGGER}    path: /x\n    body:\n      json: |\n        {"id": {{ row.id }\n`,
      /^11:16 .*ends in a single brace/,
    ],
    ['Kind: sync\nname: s\n', /^1:1 `Kind` is not a field; write `kind`$/],
    [
      `${DESTINATION}kind: model\nname: m\nsql: select 1\n`,
      /^4:1 .*a second `kind`: write a line `---` between two resources$/,
    ],
    [
      `${TRIGGER}    path: https://api/v1/{{ row.id }}\n`,
      /^8:11 .*wanted a path such as `\/v1\/\{\{ row.id \}\}`, .* put `https:\/\/api` into `baseUrl`$/,
    ],
    [`${TRIGGER}    path: /x\n    batch: true\n`, /^9:12 .*; write `\{\}` for up to 100 rows a request$/],
    [
      'kind: source\nname: s\ntype: csv\npath: .\n',
      /^3:7 .*found `csv`; `duckdb` reads CSV, Parquet and JSON files$/,
    ],
    [
      'kind: source\nname: s\ntype: mariadb\nurl: mariadb://x/y\n',
      /^3:7 .*found `mariadb`; `mysql` means MariaDB, too$/,
    ],
    [
      'kind: sync\ntriggers:\n  added: { method: POST path: /x }\n',
      /^3:20 this is not YAML: commas divide fields in `\{ … \}`/,
    ],
    [
      'kind: destination\nheaders: [\nname: x\n',
      /^3:1 this is not YAML: a `\[` before this has no `\]`, or it stands too far to the left$/,
    ],
    [`${TRIGGER}    path: http://api\n`, /^8:11 .*wanted a path such as `\/`/],
    [
      `${DESTINATION}headers:\n  X-Key: '{{ secret.api_key }}'\n`,
      /^5:10 .*; a secret is written `\$\{secret:api-key\}`$/,
    ],
    [
      `${DESTINATION}headers:\n  X-Key: '{{ env.key }}'\n`,
      /^5:10 .*; a variable of the environment is written `\$\{KEY\}`$/,
    ],
    [
      `${TRIGGER}    path: /x\n    headers:\n      X-Key: '{{ secret.x }}'\n`,
      /^10:14 .*write `\$\{secret:x\}` into the `headers` of the destination; .*`\{\{ row.secret.x \}\}`$/,
    ],
    [
      `${SYNC}labels: crm\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:9 .*wanted a list, found `crm`$/,
    ],
    [
      `${SYNC}labels: [crm, a#b]\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:15 .*wanted a label of letters, digits, `-_\.\/:` and single blanks within it, found `a#b`$/,
    ],
    [
      `${SYNC}labels: [${'x'.repeat(41)}]\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:10 .*wanted a label of at most 40 characters, found/,
    ],
    [
      `${SYNC}labels: [crm, crm]\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:9 .*wanted each label only once/,
    ],
    [
      `${SYNC}labels: [${Array.from({ length: 21 }, (_, at) => `l${at}`).join(', ')}]\ntriggers:\n  added: { method: POST, path: /x }\n`,
      /^5:9 .*wanted at most 20 labels$/,
    ],
  ])('in %j is told with what to write', (text, message) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(message)])
  })

  it.each([
    [`${SYNC}labels: [crm, 2026, 'größe: 1.5/x_y-z']\ntriggers:\n  added: { method: POST, path: /x }\n`],
    [`${TRIGGER}    path: /redirect?to=http://x\n`],
    [`${TRIGGER}    path: /x\n    headers: { X-A: '{{ row.secret.x }}' }\n`],
    [`${TRIGGER}    path: /x\n    body:\n      json: '{"a":{"b":{{ row.b }}}}'\n`],
    [`${TRIGGER}    path: "/x/{{ row.a | default: '}' }}"\n`],
  ])('is not found in %j', text => {
    expect(problemsOf(text)).toEqual([])
  })
})

describe('a single brace', () => {
  it.each([
    ['{{ a }', '{{ a }'],
    ['x {{ a }} {{ b } c', '{{ b }'],
    ['{{ a }}}', null],
    ['{{ a', null],
    ['{% raw %}{{ a }{% endraw %}', null],
    ['{"a": {"b": 1}}', null],
  ])('in %j is %j', (text, brace) => {
    expect(singleBrace(text)).toBe(brace)
  })
})
