/** Random rows, of every type and with hostile texts, in every place that a value can be. */
import { Decimal, JsonText, type Row, type Value } from '@sluice/contracts/values'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { describe, expect, it } from 'vitest'
import { compileTrigger, type CompiledTrigger } from './compile.ts'
import { parseExactJson } from './values/exact-json.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }
const ROUNDS = 1_000

const HOSTILE = [
  ...[
    '"',
    '\\',
    '\n',
    '\r',
    '\t',
    '\0',
    ',',
    ']',
    '}',
    '[',
    '{',
    '/',
    '..',
    '.',
    '//',
    '?',
    '#',
    '&',
    '=',
    '%',
    '%2e',
    ' ',
  ],
  ...[
    '<',
    '>',
    "'",
    '`',
    '😀',
    'ü',
    '\u2028',
    '\u202e',
    '\ud800',
    '{{ a }}',
    '{% raw %}',
    'a',
    'Z',
    '0',
    '-',
    '__proto__',
  ],
]

class Maker {
  readonly #random: Random
  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  below(count: number): number {
    return this.#random.below(count)
  }

  text(): string {
    return Array.from({ length: this.below(8) }, () => HOSTILE[this.below(HOSTILE.length)] ?? '').join('')
  }

  /**
   * A name of a field. Never a lone backslash: once V8 13.6 has read one, its JSON.parse takes other escaped
   * characters for it. Then the test could not read back the text that it checks.
   */
  name(): string {
    const text = this.text()
    return text === '\\' ? 'backslash' : text
  }

  /** Any value that JSON can hold, nested at most `depth` deep. */
  value(depth: number): Value {
    switch (this.below(depth > 0 ? 12 : 10)) {
      case 0:
        return null
      case 1:
        return this.below(2) === 0
      case 2:
        return this.below(1_000_000) - 500_000
      case 3:
        return (this.#random.next() - 0.5) * 10 ** (this.below(40) - 20)
      case 4:
        return BigInt(this.below(2 ** 31)) * 2n ** BigInt(this.below(90)) * -1n
      case 5:
        return new Decimal(`-${this.below(10_000)}.${String(this.below(100_000)).padStart(30, '0')}`)
      case 6:
        return Uint8Array.from({ length: this.below(20) }, () => this.below(256))
      case 7:
      case 8:
        return this.text()
      case 9:
        return new JsonText(` {"a": [ 1.50, null ], "b" : ${JSON.stringify(this.text())}}`)
      case 10:
        return Array.from({ length: this.below(4) }, () => this.value(depth - 1))
      default:
        return Object.fromEntries(
          Array.from({ length: this.below(4) }, () => [this.name(), this.value(depth - 1)]),
        )
    }
  }

  row(): Row {
    return { a: this.value(3), b: this.value(3), 'c"d': this.value(1), ['__proto__']: this.text() }
  }
}

/** The value as it has to come back from JSON: bytes as base64, numbers by worth. */
function expected(value: Value): Value {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Decimal)
    return parseExactJson(String(value))
  if (value instanceof JsonText) return parseExactJson(value.text)
  if (Array.isArray(value)) return value.map(expected)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, expected(field)]))
  return value
}

/** A row as text in JSON. */
function expectedText(row: Row): Value {
  return expected({ a: Object.keys(row).join('"'), c: typeof row['a'] === 'string' ? row['a'] : 1 })
}

function single(spec: Parameters<typeof compileTrigger>[0]): CompiledTrigger {
  return compileTrigger(spec, { sync: 'orders', op: 'added' })
}

describe('random rows', () => {
  const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)

  it(`come back from JSON as they were (SLUICE_TEST_SEED=${seed})`, () => {
    const json = `[{% for row in rows %}{"a":{{ row.a | json }},"b":{{ row.b | json }},"c":{{ row['c"d'] | json }},"row":{{ row | json }},},{% endfor %}]`
    const trigger = single({
      method: 'POST',
      path: '/',
      batch: { size: 100, bytes: 1_000_000 },
      body: { json },
    })
    const maker = new Maker(seed)
    for (let round = 0; round < ROUNDS / 10; round++) {
      const rows = Array.from({ length: 1 + maker.below(10) }, () => maker.row())
      const result = trigger.render(
        rows.map(row => ({ row, previous: null, captured: null })),
        CONTEXT,
      )
      if (result.kind !== 'rendered' || result.body === null) throw new Error(JSON.stringify(result))
      const back: Value = rows.map(row => ({
        a: row['a'] ?? null,
        b: row['b'] ?? null,
        c: row['c"d'] ?? null,
        row,
      }))
      expect(parseExactJson(result.body)).toStrictEqual(expected(back))
    }
  })

  it(`stay in their place in a path (SLUICE_TEST_SEED=${seed})`, () => {
    const trigger = single({ method: 'GET', path: '/before/{{ a }}/after/{{ b }}?x={{ a }}&y={{ b }}' })
    const maker = new Maker(seed)
    let rendered = 0
    for (let round = 0; round < ROUNDS; round++) {
      const result = trigger.render([{ row: maker.row(), previous: null, captured: null }], CONTEXT)
      if (result.kind === 'unrenderable') continue
      rendered += 1
      const url = new URL(`https://host.example/base${result.path}`)
      expect(url.origin + url.pathname + url.search).toBe(`https://host.example/base${result.path}`)
      const segments = url.pathname.split('/')
      expect([segments.length, segments[1], segments[2], segments[4]]).toEqual([6, 'base', 'before', 'after'])
      expect([...url.searchParams.keys()]).toEqual(['x', 'y'])
    }
    expect(rendered).toBeGreaterThan(ROUNDS / 4)
  })

  it(`stay in their line in a header (SLUICE_TEST_SEED=${seed})`, () => {
    const trigger = single({ method: 'GET', path: '/', headers: { 'X-A': 'a={{ a }}', 'X-B': '{{ b }}' } })
    const maker = new Maker(seed)
    let rendered = 0
    for (let round = 0; round < ROUNDS; round++) {
      const result = trigger.render([{ row: maker.row(), previous: null, captured: null }], CONTEXT)
      if (result.kind === 'unrenderable') continue
      rendered += 1
      expect(() => new Headers(result.headers)).not.toThrow()
      expect(Object.values(result.headers).join('')).toMatch(/^[\t\u0020-\u007e\u0080-\u00ff]*$/)
    }
    expect(rendered).toBeGreaterThan(ROUNDS / 10)
  })

  it(`give valid JSON or an error without | json too (SLUICE_TEST_SEED=${seed})`, () => {
    const trigger = single({ method: 'POST', path: '/', body: { json: '{"a":"{{ a }}","b":[{{ b }},],}' } })
    const maker = new Maker(seed)
    for (let round = 0; round < ROUNDS; round++) {
      const result = trigger.render([{ row: maker.row(), previous: null, captured: null }], CONTEXT)
      if (result.kind === 'rendered') expect(() => JSON.parse(result.body ?? '') as unknown).not.toThrow()
      else
        expect(result.error).toMatch(
          /^body\.json: the body is not JSON at line \d+, column \d+: expected .+, found .+ in /,
        )
    }
  })

  it(`come back from mapped fields and JSON columns as they were (SLUICE_TEST_SEED=${seed})`, () => {
    const batch = { size: 100, bytes: 1_000_000 }
    const fields = { a: 'a', deep: { list: ['b', { template: '{{ row.a }}' }] }, 'c"': 'c"d' }
    const mapped = single({
      method: 'POST',
      path: '/',
      batch,
      body: { fields, wrap: '{"rows":{{ items }},}' },
    })
    const column = single({ method: 'POST', path: '/', batch, body: { jsonColumn: 'json' } })
    const maker = new Maker(seed)
    for (let round = 0; round < ROUNDS / 10; round++) {
      const rows = Array.from({ length: 1 + maker.below(10) }, () => maker.row())
      const documents = rows.map(row => ({
        json: row['a'] === null ? '{}' : JSON.stringify(expectedText(row)),
      }))
      const result = mapped.render(
        rows.map(row => ({ row, previous: null, captured: null })),
        CONTEXT,
      )
      const payload = column.render(
        documents.map(row => ({ row, previous: null, captured: null })),
        CONTEXT,
      )
      if (result.kind !== 'rendered' || payload.kind !== 'rendered')
        throw new Error(JSON.stringify([result, payload]))
      const back = parseExactJson(result.body ?? '')
      const wanted = rows.map(row => ({
        a: expected(row['a'] ?? null),
        deep: { list: [expected(row['b'] ?? null), expect.any(String) as unknown] },
        'c"': expected(row['c"d'] ?? null),
      }))
      expect(back).toStrictEqual({ rows: wanted })
      expect(payload.body).toBe(`[${documents.map(({ json }) => json).join(',')}]`)
    }
  })

  it(`stay in their place in XML (SLUICE_TEST_SEED=${seed})`, () => {
    const xml =
      '<r x="{{ a }}" y=\'{{ b }}\'><a>{{ a }}</a>{% capture c %}{{ b }}{% endcapture %}<b>{{ c }}</b></r>'
    const trigger = single({ method: 'POST', path: '/', body: { xml } })
    const maker = new Maker(seed)
    let rendered = 0
    for (let round = 0; round < ROUNDS; round++) {
      const result = trigger.render([{ row: maker.row(), previous: null, captured: null }], CONTEXT)
      if (result.kind === 'unrenderable') {
        expect(result.error).toMatch(/which XML cannot hold/)
        continue
      }
      rendered += 1
      expect(result.body).toMatch(/^<r x="[^<"]*" y='[^<']*'><a>[^<]*<\/a><b>[^<]*<\/b><\/r>$/)
    }
    expect(rendered).toBeGreaterThan(ROUNDS / 4)
  })

  it(`stay in their place in forms (SLUICE_TEST_SEED=${seed})`, () => {
    const trigger = single({ method: 'POST', path: '/', body: { form: { a: '{{ a }}', 'b&c': '{{ b }}' } } })
    const maker = new Maker(seed)
    for (let round = 0; round < ROUNDS; round++) {
      const row = maker.row()
      const result = trigger.render([{ row, previous: null, captured: null }], CONTEXT)
      if (result.kind === 'unrenderable') continue
      const form = new URLSearchParams(result.body ?? '')
      expect([...form.keys()]).toEqual(['a', 'b&c'])
      if (typeof row['a'] === 'string') expect(form.get('a')).toBe(row['a'])
    }
  })
})
