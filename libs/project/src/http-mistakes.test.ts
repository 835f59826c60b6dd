/**
 * `validate` reports texts that HTTP cannot send, with file, line and field, before a run fails row by row.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSluiceError } from '@sluice/contracts/errors'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadProject } from './load-project.ts'

const REST = `---
kind: source
name: s
type: duckdb
path: .
---
kind: model
name: m
source: s
sql: select 1 as id
primaryKey: id
---
kind: sync
name: y
model: m
destination: d
triggers:
`
const ADDED = '  added: { method: PUT, path: "/x/{{ id }}" }\n'
const DESTINATION = 'kind: destination\nname: d\n'
const BASE = 'baseUrl: http://h\n'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-http-'))
})
afterAll(() => rm(dir, { recursive: true }))

/** The problems of a project as `line field: message`, its destination first. */
function tokenRequest(field: string, header: string): string {
  const client = 'grant: client-credentials, tokenUrl: "https://h/", clientId: c'
  return `auth: { oauth2: { ${client}, ${field}: { headers: { ${header}: x } } } }\n`
}

async function problemsOf(destination: string, triggers: string = ADDED): Promise<string[]> {
  await writeFile(join(dir, 'a.yaml'), `${DESTINATION}${destination}${REST}${triggers}`)
  try {
    await loadProject(dir, { env: { URL: 'http://h/\n' }, signal: new AbortController().signal })
    return []
  } catch (error) {
    if (!isSluiceError(error, 'config')) throw error
    return error.details.map(({ line, field, message }) => `${line ?? 0} ${field ?? ''}: ${message}`)
  }
}

it.each([
  ['baseUrl: HTTP://H:80/\n'],
  ['baseUrl: ${URL}\n'],
  [`${BASE}headers: { Host: "api.test:1", X: "Grüße", Authorization: "Bearer \${secret:t}" }\n`],
  [`${BASE}headers:\n  X: |\n    ends in a line break\n`],
  [`${BASE}idempotencyHeader: false\nheaders: { Idempotency-Key: mine }\n`],
  [`${BASE}query: { q: "a b&c" }\n`],
  [`${BASE}breaker: { failures: 5, pause: 250ms }\n`],
  [`${BASE}breaker: { pause: 1h }\n`],
  [`${BASE}breaker: {}\n`],
  [`${BASE}breaker: false\n`],
  [`${BASE}${tokenRequest('tokenRequest', 'X-Tenant')}`],
])('%j is right', async destination => {
  expect(await problemsOf(destination)).toEqual([])
})

it.each([
  ['baseUrl: http://u:pw@h\n', /^3 baseUrl: .*without user and password.*found `http:\/\/u:\*\*\*@h`$/],
  ['baseUrl: http://h:1\\x\n', /^3 baseUrl: .*without `\\`: write `\/`, found `http:\/\/h:1\\x`$/],
  ['baseUrl: http://h/100%/x\n', /^3 baseUrl: .*write %25 for a `%`/],
  ['baseUrl: http://h/#x\n', /^3 baseUrl: .*without `#`/],
  ['baseUrl: http://h:99999\n', /^3 baseUrl: .*with a port from 1 to 65535/],
  [
    'baseUrl: http://h/{{ tenant }}\n',
    /^3 baseUrl: .*without Liquid, which goes into the `path` of a trigger/,
  ],
  [`${BASE}breaker: { failures: 0 }\n`, /^4 breaker.failures: .*a whole number from 1 to/],
  [`${BASE}breaker: { pause: 2h }\n`, /^4 breaker.pause: .*a duration of at most 1h/],
  [`${BASE}breaker: { pause: 30 }\n`, /^4 breaker.pause: .*a duration such as/],
  [`${BASE}breaker: { failure: 5 }\n`, /^4 breaker.failure: .*did you mean `failures`/],
  [`${BASE}breaker: true\n`, /^4 breaker: /],
  [`${BASE}headers: { Host: a b }\n`, /^4 headers.Host: .*wanted a host, with or without a port/],
  [`${BASE}headers: { X: a – b }\n`, /^4 headers.X: .*Latin-1 characters, which "–" \(U\+2013\) is not/],
  [`${BASE}headers: { X: "a\\nb" }\n`, /^4 headers.X: .*without line breaks/],
  [`${BASE}headers: { X: "{{ id }}" }\n`, /^4 headers.X: .*goes into the `headers` of a trigger/],
  [`${BASE}headers:\n  X-A: 1\n  x-a: 2\n`, /^6 headers.x-a: .*wanted each header once: `X-A` is the same$/],
  [
    `${BASE}headers:\n  idempotency-key: 2\n`,
    /^5 headers.idempotency-key: .*wanted no `idempotency-key` here/,
  ],
  [`${BASE}headers: { Content-Length: 2 }\n`, /^4 headers.Content-Length: .*a header other than/],
  [`${BASE}headers: { "X:": 2 }\n`, /^4 headers.X:: .*wanted a header name/],
  [
    `${BASE}idempotencyHeader: Host\n`,
    /^4 idempotencyHeader: .*a header other than authorization, content-type, host/,
  ],
  [
    `${BASE}auth: { oauth2: { grant: client-credentials, tokenUrl: "https://h/{tenant}/token", clientId: c } }\n`,
    /^4 auth.oauth2.tokenUrl: .*wanted a URL such as/,
  ],
  [`${BASE}query: { q: "{{ id }}" }\n`, /^4 query.q: .*goes into the `path` of a trigger/],
  [`${BASE}query: { "": x }\n`, /^4 query.: .*wanted text that is not empty/],
])('%j is told', async (destination, message) => {
  expect(await problemsOf(destination)).toEqual([expect.stringMatching(message)])
})

it.each(
  ['Host', 'HOST', 'Connection', 'Transfer-Encoding', 'Content-Length', 'TE', 'Proxy-Connection'].flatMap(
    header => [
      { field: 'tokenRequest', header },
      { field: 'refreshRequest', header },
    ],
  ),
)('a $field with the header $header is told', async ({ field, header }) => {
  const message = new RegExp(`^4 auth.oauth2.${field}.headers.${header}: .*a header other than`)
  expect(await problemsOf(`${BASE}${tokenRequest(field, header)}`)).toEqual([expect.stringMatching(message)])
})

it.each([
  ['path: "/100%/{{ id }}"', /^23 triggers.added.path: sync `y`: the path has a "%".*write %25/],
  ['path: "/100%/x"', /^23 triggers.added.path: sync `y`: the path has a "%".*write %25/],
  ['path: "/x/{{ id }}#a"', /^23 triggers.added.path: sync `y`: the path has a "#"/],
  ['path: "/x/../{{ id }}"', /^23 triggers.added.path: sync `y`: the path has a ".." segment/],
  [
    'path: /x\n    headers: { A: "– {{ id }}" }',
    /^24 triggers.added.headers.A: .*has "–", which headers cannot carry/,
  ],
  [
    'path: /x\n    headers: { HOST: "{{ id }}.evil.test" }',
    /^24 triggers.added.headers.HOST: .*other than host, which stands in the `headers` of the destination/,
  ],
  ['path: /x\n    headers: { A: x, a: y }', /^24 triggers.added.headers.a: .*is there twice/],
  ['path: /x\n    headers: { Expect: x }', /^24 triggers.added.headers.Expect: .*a header other than/],
  [
    'path: /x\n    headers: { idempotency-KEY: x }',
    /^24 triggers.added.headers.idempotency-KEY: sync `y`: wanted no `idempotency-KEY` here: .* at the destination `d`$/,
  ],
  [
    'path: /x\n    body: { text: { contentType: csv, template: x } }',
    /^24 triggers.added.body.text.contentType: .*wanted a media type such as text\/csv, found `csv`$/,
  ],
  [
    'path: /x\n    body: { text: { contentType: "text/csv – x", template: x } }',
    /^24 triggers.added.body.text.contentType: .*wanted a media type/,
  ],
])('a trigger with %j is reported', async (lines, message) => {
  const told = await problemsOf(BASE, `  added:\n    method: PUT\n    ${lines}\n`)
  expect(told).toEqual([expect.stringMatching(message)])
})
