/**
 * A definition that validates is sent as it is written. Random base URLs, queries, headers and paths go
 * through the schemas, the templates and the sender, and a socket keeps the bytes. Most of these texts have
 * something odd in them. The test compares the bytes with the written texts, not with the results of any part
 * of Sluice.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { isSluiceError } from '@sluice/contracts/errors'
import { clashWithKey } from '@sluice/contracts/specs/http-texts'
import { trigger as triggerSchema } from '@sluice/contracts/resources'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import { compileTrigger } from '@sluice/templates/compile'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { sampleDefinition, sampleRequest } from '@sluice/testkit/sample-records'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { WHOLE } from './ledger/request-history.ts'
import { sendRequest } from './send/send-request.ts'
import { resolveTarget } from './destination/target.ts'

const SEED = 20_260_101
const REQUESTS = 6_000
const SECRET = 's€cret & ü'
const HEADER_SECRET = 'tök=en'

const heads: string[] = []
const server = createServer(socket => keepHeads(socket))

function keepHeads(socket: Socket): void {
  let pending = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', bytes => {
    pending += bytes.toString('latin1')
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
      heads.push(pending.slice(0, end))
      pending = pending.slice(end + 4)
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    }
  })
}

let port = 0
beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterAll(() => {
  server.close()
})

const NICE = [
  'a',
  'B',
  '7',
  '-',
  '.',
  '_',
  '~',
  'x1',
  '!',
  '$',
  "'",
  '(',
  ')',
  '*',
  '+',
  ',',
  ';',
  '=',
  ':',
  '@',
  '&',
]
const ODD = [
  '%20',
  '%c3%bc',
  '%',
  '%4',
  ' ',
  '\t',
  '\n',
  '\\',
  '"',
  '<',
  '>',
  '^',
  '`',
  '{',
  '|',
  '}',
  'ü',
  '–',
  '😀',
]
const WORSE = [
  '\u0000',
  '\u001b',
  '\u007f',
  '\u00a0',
  '#',
  '?',
  '/',
  '..',
  '/../',
  '//',
  '{{ v }}',
  '\ud800',
  '[',
  ']',
]

function piece(random: Random, odd: number): string {
  let text = ''
  for (let left = 1 + random.below(6); left > 0; left--)
    text += random.chance(odd) ? random.pick(random.chance(0.5) ? ODD : WORSE) : random.pick(NICE)
  return text
}

function baseUrl(random: Random): { readonly text: string; readonly path: string } {
  const scheme = random.pick(['http', 'http', 'HTTP', 'Http', 'https:/', 'ftp'])
  const user = random.chance(0.05) ? 'me:pw@' : ''
  const host = random.pick(['127.0.0.1', '127.0.0.1', 'localhost', 'LOCALHOST', '0x7f.1', '127.1'])
  const at = random.chance(0.05) ? ':' : `:${port}`
  const path = random.pick(['', '/', `/${piece(random, 0.1)}`, `/v1/${piece(random, 0.05)}/`])
  const around = random.pick(['', '', ' ', '\n'])
  return { text: `${around}${scheme}://${user}${host}${at}${path}${around}`, path }
}

function headersOf(random: Random, names: readonly string[]): { [name: string]: string } {
  const headers: { [name: string]: string } = {}
  for (let left = random.below(4); left > 0; left--)
    headers[random.pick(names)] =
      random.pick(['', ' ', '\n', '']) + piece(random, 0.08) + random.pick(['', ' '])
  return headers
}

/** Percent-encoding undone, as bytes: what a URL says, however it is spelt. */
function meaning(url: string): string {
  const bytes: Buffer[] = []
  for (const [part] of url.matchAll(/%[0-9A-Fa-f]{2}|[^%]+|%/g))
    bytes.push(/^%../.test(part) ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part))
  return Buffer.concat(bytes).toString('latin1')
}

const NAMES = [
  'X-A',
  'x-a',
  'X_B',
  'Accept',
  "x!#$%&'*+.^`|~",
  'X C',
  'X:',
  'Content-Type',
  'TE',
  'Idempotency-Key',
  'Host',
]

interface Written {
  readonly base: { readonly text: string; readonly path: string }
  readonly destination: { readonly [name: string]: string }
  readonly query: { readonly [name: string]: string }
  readonly path: string
  readonly headers: { readonly [name: string]: string }
  readonly value: string
}

function write(random: Random): Written {
  const path = [
    piece(random, 0.06),
    random.chance(0.3) ? `/{{ v }}` : '',
    random.chance(0.3) ? `?q=${piece(random, 0.05)}` : '',
  ]
  return {
    base: baseUrl(random),
    destination: { ...headersOf(random, NAMES), ...(random.chance(0.2) ? { 'X-Key': '${secret:h}' } : {}) },
    query: random.chance(0.3) ? { [piece(random, 0.2)]: piece(random, 0.2), s: '${secret:q}' } : {},
    path: `${random.pick(['/', ''])}${path.join('')}`,
    headers: headersOf(random, NAMES),
    value: piece(random, 0.3),
  }
}

/**
 * The definition and the rendered request, or null where validation or, for its value, the row is refused.
 */
function accepted({ base, destination, query, path, headers, value }: Written) {
  try {
    const spec = triggerSchema.parse({ method: 'PUT', path, headers })
    const definition = sampleDefinition({
      destination: { baseUrl: base.text, headers: destination, query },
      sync: { triggers: { added: spec } },
    })
    if (clashWithKey(Object.keys(headers), undefined) !== null) return null
    const compiled = compileTrigger(spec, { sync: 's', op: 'added' })
    const rendered = compiled.render([{ row: { v: value }, previous: null, captured: {} }], {
      run: { id: 'r', startedAt: '' },
      sync: { name: 's' },
    })
    return rendered.kind === 'rendered' ? { definition, rendered } : null
  } catch (error) {
    if (isSluiceError(error, 'template') || (error instanceof Error && error.name === 'ZodError')) return null
    throw error
  }
}

function targetOf({ base, query, path, value }: Written): string {
  const own = path.replaceAll('{{ v }}', () => encodeURIComponent(value)).trim()
  const below = own === '' || own.startsWith('/') || own.startsWith('?') ? own : `/${own}`
  const added = Object.entries(query).map(
    ([name, text]) =>
      `${encodeURIComponent(name)}=${encodeURIComponent(text.replace('${secret:q}', SECRET))}`,
  )
  const url = `${base.path.replace(/\/+$/, '')}${below}`
  const whole = added.length === 0 ? url : `${url}${url.includes('?') ? '&' : '?'}${added.join('&')}`
  return whole.startsWith('/') ? whole : `/${whole}`
}

function expectWritten(head: string, written: Written): void {
  const [requestLine = '', ...lines] = head.split('\r\n')
  const [, target = ''] = /^PUT (\/[\x21-\x7e]*) HTTP\/1\.1$/.exec(requestLine) ?? []
  expect(meaning(target)).toBe(meaning(targetOf(written)))
  const found = new Map<string, string>()
  for (const line of lines) {
    const [, name = '', value = ''] =
      /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? []
    expect(name).not.toBe('')
    expect(found.has(name.toLowerCase())).toBe(false)
    found.set(name.toLowerCase(), value.trim())
  }
  const wanted = new Map<string, string>()
  for (const headers of [written.destination, written.headers]) {
    const names = Object.keys(headers).map(name => name.toLowerCase())
    expect(new Set(names).size).toBe(names.length)
  }
  expect(found.get('host')).toMatch(/^(\[[^\]]+\]|[\w.-]+)(:\d+)?$/)
  for (const [name, text] of [...Object.entries(written.destination), ...Object.entries(written.headers)])
    wanted.set(
      name.toLowerCase(),
      text
        .replace('${secret:h}', HEADER_SECRET)
        .replaceAll('{{ v }}', () => written.value)
        .trim(),
    )
  for (const [name, text] of wanted)
    expect(`${name}: ${found.get(name) ?? 'is not there'}`).toBe(`${name}: ${text}`)
  if (!wanted.has('host'))
    expect(found.get('host')).toMatch(new RegExp(`^(127\\.0\\.0\\.1|localhost):${port}$`))
  expect(found.has('idempotency-key')).toBe(true)
}

it('whatever validates is sent as it is written', { timeout: 60_000 }, async () => {
  const random = randomFrom(SEED)
  await using sender = createUndiciSender({ connections: 1 })
  let sent = 0
  for (let number = 0; number < REQUESTS; number++) {
    const written = write(random)
    const known = accepted(written)
    if (known === null) continue
    const { definition, rendered } = known
    const target = resolveTarget(definition, name => (name === 'h' ? HEADER_SECRET : SECRET))
    const { method, path, headers } = rendered
    const request = { ...sampleRequest(), method, path, headers: { ...headers }, body: null }
    const job = { request, requestOffset: 0, partition: 0, runId: 'run', history: WHOLE }
    const { signal } = new AbortController()
    heads.length = 0
    const outcome = await sendRequest(job, {
      target,
      sender,
      sendBeforeMs: Infinity,
      lateMs: 0,
      retries: { pauseMs: () => null, splits: false },
      signal,
    })
    const label = `seed ${SEED}, number ${number}: ${JSON.stringify(written)}`
    expect(outcome, label).toMatchObject({ attempt: { outcome: 'delivered', status: 200 } })
    expect(heads, label).toHaveLength(1)
    try {
      expectWritten(heads[0] ?? '', written)
    } catch (error) {
      throw new Error(label, { cause: error })
    }
    sent++
  }
  expect(sent).toBeGreaterThan(REQUESTS / 20)
  expect(sent).toBeLessThan(REQUESTS)
})
