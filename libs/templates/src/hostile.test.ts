/** Templates and rows that want to hurt: each ends quickly, in a clear error or a harmless text. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Row, Value } from '@sluice/contracts/values'
import { describe, expect, it } from 'vitest'
import { compileTrigger } from './compile.ts'
import type { RenderResult } from './compile.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }
/** Milliseconds of processor time, so that what else the machine does counts little; most take a few. */
const MOST_MS = 600

const ROW: Row = {
  id: 1,
  text: 'x'.repeat(10_000),
  list: Array.from({ length: 1_000 }, (_, index) => index),
  big: 10n ** 37n,
}

const BOMB = '{% assign s = "xxxxxxxxxx" %}' + '{% assign s = s | append: s %}'.repeat(40)

const TEMPLATES: readonly string[] = [
  '{% for i in (1..1000000000) %}{% endfor %}',
  '{% for i in (1..1000000000) %}x{% endfor %}',
  '{% for i in (-9999999999..9999999999) %}x{% endfor %}',
  '{% for i in (1..big) %}x{% endfor %}',
  "{% for i in (1..'Infinity') %}x{% endfor %}",
  '{% assign r = (1..100000000) %}{{ r | size }}',
  '{% tablerow i in (1..1000000000) %}x{% endtablerow %}',
  '{% for i in (1..10000) %}{% for j in (1..10000) %}x{% endfor %}{% endfor %}',
  '{% for i in (1..100000) %}{{ text }}{% endfor %}',
  '{% for i in (1..1000) %}{% for x in list %}{% for y in list %}{{ x }}{% endfor %}{% endfor %}{% endfor %}',
  '{% for i in (1..100000) %}{{ list | sum }}{% endfor %}',
  '{% for i in (1..100000) %}{% if list contains "nothing" %}{% endif %}{% endfor %}',
  '{% for i in (1..100000) %}{% if list == list2 %}{% endif %}{{ list | find: "a", 1 }}{% endfor %}',
  '{% for i in (1..100000) %}{% for x in list reversed limit: 1 %}{% endfor %}{% endfor %}',
  '{% for i in (1..100000) %}{{ list | where_exp: "x", "x > 5" | size }}{% endfor %}',
  '{% for i in (1..100000) %}{% assign list = list | push: i %}{% endfor %}',
  '{% for i in (1..100000) %}{{ list | sort | first }}{% endfor %}',
  '{% for i in (1..100000) %}{{ text | split: "" | size }}{% endfor %}',
  '{% for i in (1..100000) %}{{ text | upcase | size }}{% endfor %}',
  '{% for i in (1..100000) %}{{ text | url_encode | size }}{% endfor %}',
  '{% for i in (1..100000) %}{{ text | json | size }}{% endfor %}',
  '{% for i in (1..100000) %}{% capture c %}{{ c }}xxxxxxxxxx{% endcapture %}{% endfor %}{{ c | size }}',
  `${BOMB}{{ s }}`,
  `${BOMB}{{ s | split: "" | size }}`,
  `${BOMB}{{ s | replace: "x", "yyyyyyyyyyyyyyyyyyyy" }}`,
  '{{ text | replace: "x", text | replace: "x", text }}',
  '{{ text | replace: "", text }}',
  '{{ "now" | date: "%999999999d" }}',
  '{{ "2024-01-01" | date: "%99999999999999Y" }}',
  '{{ 1 | round: 999999999 }}{{ big | round: 99999 }}',
  '{{ "1e9999" | plus: big }}{{ "1e999999999" | times: big }}',
  '{% assign n = big %}{% for i in (1..1000) %}{% assign n = n | times: n %}{% endfor %}{{ n }}',
  '{{ text | truncate: -1 }}{{ text | slice: 0, 999999999999 | size }}',
  '{{ list | join: text | size }}',
  '{% assign l = list %}{% for i in (1..30) %}{% assign l = l | concat: l %}{% endfor %}{{ l | size }}',
  '{% assign a = list %}{% for i in (1..24) %}{% assign a = a | unshift: a %}{% endfor %}{{ a | json }}',
  '{% assign a = list %}{% for i in (1..24) %}{% assign a = a | unshift: a %}{% endfor %}{{ a }}',
  '{% assign a = list %}{% for i in (1..3000) %}{% assign a = a | unshift: a %}{% endfor %}{{ a | json }}',
  '{{ row.constructor.constructor }}{{ row.__proto__.toString }}',
  '{{ forloop.constructor }}{{ rows.constructor.prototype }}{{ text.constructor.fromCharCode }}',
  '{% assign __proto__ = list %}{% assign constructor = 1 %}{{ __proto__ | size }}',
  '{% assign x = "toString" %}{{ row[x] }}{{ [x] }}',
  '{% include "/etc/passwd" %}',
  '{% render "../../secret" %}',
  '{% layout "/etc/passwd" %}',
  '{{ "/etc/passwd" | read_file }}',
  '{% increment row %}{% increment __proto__ %}{{ row.id }}',
  '{% if true %}'.repeat(50_000),
  '{% if true %}'.repeat(200) + '{% endif %}'.repeat(200),
  `{{ ${'a['.repeat(20_000)} }}`,
  `{{ ${'not '.repeat(20_000)}a }}`,
  `{{ a${' | upcase'.repeat(20_000)} }}`,
  `{{ a${' and a'.repeat(20_000)} }}`,
  '{'.repeat(500_000),
  '{{'.repeat(100_000),
  '{% raw %}'.repeat(1_000),
  'x'.repeat(2_000_000),
  `{{ "${'\\u'.repeat(100_000)}" }}`,
  '{% comment %}'.repeat(10_000),
  '{% cycle a, b, c %}'.repeat(10_000),
  '{% liquid\n' + 'if true\n'.repeat(500) + '%}',
  `{{ list | where_exp: 'x', '${'('.repeat(1_000)}' }}`,
]

const DEEP: Value = Array.from({ length: 5_000 }).reduce<Value>(inner => [inner], 1)
const DEEP_MAP: Value = Array.from({ length: 5_000 }).reduce<Value>(inner => ({ a: inner }), 1)

const VALUES: readonly Value[] = [
  '"',
  '\\',
  '\n',
  '\u0000',
  '\u2028',
  '\ud800',
  '\udc00\ud800',
  '","x":"',
  '"}],[{"',
  '\\",',
  '{{ row.id }}',
  '{% raw %}',
  '</a>',
  ']]>',
  '&lt;',
  '<!--',
  '../..',
  '//evil.example',
  '%2e%2e',
  '\r\nX: y',
  '?a=b',
  '#',
  ';',
  '\u202e',
  '\ufeff',
  'x'.repeat(1_000_000),
  '😀'.repeat(100_000),
  '"'.repeat(100_000),
  ','.repeat(100_000),
  '[,]'.repeat(50_000),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -0,
  5e-324,
  1.7976931348623157e308,
  10n ** 4_000n,
  -(10n ** 37n),
  null,
  true,
  [],
  {},
  [[[]]],
  [null],
  DEEP,
  DEEP_MAP,
  { toJSON: 1, then: 2, constructor: 3, length: -1 },
  Object.fromEntries([['__proto__', 'x']]),
  new Uint8Array(100_000),
  Array.from({ length: 100_000 }, () => null),
]

/** What became of it, and in how many milliseconds. */
function timed(make: () => RenderResult): { outcome: RenderResult | SluiceError; ms: number } {
  const start = process.cpuUsage()
  let outcome: RenderResult | SluiceError
  try {
    outcome = make()
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    outcome = error
  }
  const { user, system } = process.cpuUsage(start)
  return { outcome, ms: (user + system) / 1000 }
}

describe('a hostile template', () => {
  it('is one of at least 40', () => {
    expect(TEMPLATES.length).toBeGreaterThanOrEqual(40)
  })

  for (const template of TEMPLATES)
    it(`ends soon: ${template.length > 90 ? `${template.slice(0, 80)}… (${template.length})` : template}`, () => {
      const { outcome, ms } = timed(() => {
        const spec = { method: 'POST', path: '/', body: { json: `"${template}"` } } as const
        const trigger = compileTrigger(spec, { sync: 'orders', op: 'added' })
        return trigger.render([{ row: ROW, previous: null, captured: null }], CONTEXT)
      })
      expect(ms).toBeLessThan(MOST_MS)
      if (outcome instanceof SluiceError) {
        expect(outcome.details[0]?.message).toMatch(/\w/)
        expect(outcome.message.length).toBeLessThan(1_000)
      } else if (outcome.kind === 'unrenderable') {
        expect(outcome.error).toMatch(/^body\.json: .*\w/)
        expect(outcome.error.length).toBeLessThan(1_000)
        expect(outcome.error).not.toMatch(/Cannot read|undefined is not|is not a function|\[object/)
      } else {
        expect(JSON.parse(outcome.body ?? '')).not.toMatch(/root:|function|native code/)
      }
    })
})

describe('a hostile row', () => {
  it('is one of at least 40', () => {
    expect(VALUES.length).toBeGreaterThanOrEqual(40)
  })

  for (const [index, value] of VALUES.entries())
    it(`stays in its place: value ${index}`, () => {
      const spec = {
        method: 'POST',
        path: '/c/{{ v }}/x?q={{ v }}',
        headers: { 'X-V': 'v={{ v | json | url_encode }}' },
        body: { json: '{"before":1,"v":{{ v | json }},"after":2,}' },
      } as const
      const trigger = compileTrigger(spec, { sync: 'orders', op: 'added' })
      const { outcome, ms } = timed(() =>
        trigger.render([{ row: { v: value }, previous: null, captured: null }], CONTEXT),
      )
      expect(ms).toBeLessThan(MOST_MS)
      expect(outcome).not.toBeInstanceOf(SluiceError)
      if (outcome instanceof SluiceError || outcome.kind === 'unrenderable') return
      expect(outcome.path).toMatch(/^\/c\/[^/?#\s]+\/x\?q=[^/?#&\s]+$/)
      const url = new URL(`https://host.example/base${outcome.path}`)
      expect(url.origin).toBe('https://host.example')
      expect(url.pathname.split('/').length).toBe(5)
      expect(outcome.headers['X-V']).toMatch(/^v=[^\r\n]*$/)
      const parsed: unknown = JSON.parse(outcome.body ?? '')
      expect(parsed).toMatchObject({ before: 1, after: 2 })
    })
})
