/** Our reading and rendering of Liquid gives the same as liquidjs, wherever we do not differ on purpose. */
import type { Row } from '@sluice/contracts/values'
import { Liquid } from 'liquidjs'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { FILTER_CASES } from '../test/cases/filters.ts'
import { JSON_CASES } from '../test/cases/requests/json-bodies.ts'
import { TAG_CASES } from '../test/cases/tags.ts'
import { compileTemplate } from './liquid/compile-template.ts'
import { Frame } from './liquid/frame.ts'
import { usualLimits } from './liquid/limits.ts'
import { parseTemplate } from './liquid/parse/parse-template.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }
const bare = new Liquid({
  ownPropertyOnly: true,
  strictFilters: true,
  timezoneOffset: 0,
  preserveTimezones: true,
  locale: 'en-US',
})

/** Cases in which we mean to differ, and why. */
const ON_PURPOSE: ReadonlyMap<string, string> = new Map([
  ['joins values as they print', 'liquidjs prints [object Object]'],
  ['encodes bytes in base64 once', 'liquidjs encodes "255"'],
  ['hashes bytes, not their base64', 'liquidjs hashes "97"'],
  ['filters maps as JSON, never as [object Object]', 'liquidjs prints [object Object]'],
  ['takes now as the time when the run started', 'liquidjs reads the clock'],
  ['formats dates', 'liquidjs takes dates without a zone as local'],
  ['formats dates without a time', 'liquidjs takes dates without a zone as local'],
  ['formats dates in English', 'liquidjs takes dates without a zone as local'],
  ['rejects and finds by expression', 'liquidjs rejects by the value false only'],
  ['counts apart from columns', 'liquidjs starts counting at the column'],
  ['sends exact numbers', 'liquidjs cannot write bigints'],
  ['sends null for a missing value', 'liquidjs writes nothing'],
  ['makes a table', 'liquidjs leaves out the line breaks that Shopify has'],
])

function ours(template: string, row: Row, rows: readonly Row[] | undefined): string {
  const compiled = compileTemplate(parseTemplate(template), { batched: rows !== undefined, escaping: null })
  const seen = (rows ?? [row]).map(each => ({ row: each, previous: null, captured: null }))
  return compiled.run(new Frame(seen, CONTEXT, usualLimits(seen.length)))
}

function theirs(template: string, row: Row, rows: readonly Row[] | undefined): unknown {
  const scope = rows === undefined ? { ...row, row, rows: [row] } : { rows }
  const result: unknown = bare.parseAndRenderSync(template, {
    ...scope,
    run: CONTEXT.run,
    sync: CONTEXT.sync,
  })
  return result
}

describe('we agree with liquidjs where a template', () => {
  for (const each of [...TAG_CASES, ...FILTER_CASES, ...JSON_CASES]) {
    const template = each.liquid ?? each.json
    if (template === undefined || ON_PURPOSE.has(each.it)) continue
    it(each.it, () => {
      const { row = {}, rows } = each
      expect(ours(template, row, rows)).toBe(theirs(template, row, rows))
    })
  }
})

/** Small pieces that are put together at random. */
const PIECES: readonly string[] = [
  'text ',
  '{{ a }}',
  '{{ b.c }}',
  '{{ list[1] }}',
  '{{ list.first }}{{ list.size }}',
  '{{ nothing }}',
  '{{ maps[0].x }}',
  '{{ a | upcase }}',
  "{{ a | append: '!' | size }}",
  "{{ list | join: ',' }}",
  "{{ maps | map: 'y' | size }}",
  "{{ maps | where: 'x', 1 | size }}",
  "{{ maps | map: 'x' | join: '-' }}",
  '{{ list | reverse | first }}',
  "{{ s | split: ' ' | last }}",
  '{{ 3 | plus: 4 | times: 2 }}',
  '{{ a | default: s }}',
  '{{ none | default: s }}',
  '{{ s | replace: "o", "0" }}',
  '{{ list | sort | last }}',
  '{% assign v = s | upcase %}',
  '{{ v }}',
  '{% assign a = 5 %}',
  '{% capture cap %}[{{ v }}]{% endcapture %}',
  '{{ cap }}',
  '{% if a == 5 %}five{% elsif v %}v{% else %}else{% endif %}',
  '{% unless v %}no v{% endunless %}',
  '{% if list contains 2 and s != "x" or v %}c{% endif %}',
  '{% for i in list %}{{ i }}{{ forloop.index }}{% if i == 2 %}{% continue %}{% endif %},{% endfor %}',
  '{% for i in list reversed limit: 2 offset: 1 %}{{ i }}{% else %}none{% endfor %}',
  '{% for i in none %}x{% else %}empty{% endfor %}',
  '{% for p in b %}{{ p[0] }}={{ p[1] }};{% endfor %}',
  '{% for i in (1..3) %}{% for j in list %}{{ i }}{{ j }}{% if j == 2 %}{% break %}{% endif %}{% endfor %}{% endfor %}',
  '{% case a %}{% when 5 %}V{% when "x", "A" %}X{% else %}?{% endcase %}',
  "{% cycle 'p', 'q' %}",
  '{% increment n %}',
  '{% decrement m %}',
  '{{ n }}',
  '{% for i in list limit: 1 %}{{ i }}{% endfor %}{% for i in list offset: continue %}{{ i }}{% endfor %}',
  '{{- " t " -}}',
  '{%- echo s -%}',
  ' \n ',
]
const ROW: Row = {
  a: 'A',
  s: 'foo bar',
  none: null,
  list: [1, 2, 3],
  b: { c: 'deep', d: true },
  maps: [{ x: 1 }, { x: 'two' }],
}

describe('random templates', () => {
  const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
  it(`render as liquidjs renders them (SLUICE_TEST_SEED=${seed})`, () => {
    const random = randomFrom(seed).next
    for (let round = 0; round < 500; round++) {
      const count = 1 + Math.floor(random() * 8)
      const template = Array.from(
        { length: count },
        () => PIECES[Math.floor(random() * PIECES.length)] ?? '',
      ).join('')
      expect(ours(template, ROW, undefined), template).toBe(theirs(template, ROW, undefined))
    }
  })
})
