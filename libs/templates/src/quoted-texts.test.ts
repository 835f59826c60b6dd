/** What a row says between the quotes of a JSON template stays a text there. */
import { describe, expect, it } from 'vitest'
import type { Row } from '@sluice/contracts/values'
import { VALUES } from '../test/cases/hostile.ts'
import { compileTrigger } from './compile.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }

function bodyOf(json: string, row: Row): unknown {
  const trigger = compileTrigger(
    { method: 'POST', path: '/', body: { json } },
    { sync: 'orders', op: 'added' },
  )
  const result = trigger.render([{ row, previous: null, captured: null }], CONTEXT)
  if (result.kind === 'unrenderable') throw new Error(result.error)
  return JSON.parse(result.body ?? '')
}

const EVIL = '","admin":true,"x":"'
const TEXTS = [EVIL, '\\', '\\",', '"', '5" tv, a\\b', 'a\nb', '\ufdd0 \ufdd1 \ufdd2a', '}]', '", "', 'é😀']

describe('a text between quotes', () => {
  it.each(TEXTS)('%j is the value of its field, whatever it holds', x => {
    expect(bodyOf('{"id":"{{ row.x }}","n":1}', { x })).toEqual({ id: x, n: 1 })
    expect(bodyOf('{"id":"a {{ row.x | append: "!" | prepend: row.x }}"}', { x })).toEqual({
      id: `a ${x}${x}!`,
    })
    expect(bodyOf('{"{{ row.x }}":{% if row.x %}"{{ x }}"{% else %}null{% endif %}}', { x })).toEqual({
      [x]: x,
    })
    expect(
      bodyOf('[{% for t in row.l %}"{{ t | truncate: 2, "" }}","{{ t }}",{% endfor %}]', { l: [x] }),
    ).toEqual([[...x].slice(0, 2).join(''), x])
    expect(bodyOf('{% capture c %}<{{ row.x }}>{% endcapture %}["{{ c }}"]', { x })).toEqual([`<${x}>`])
    expect(bodyOf('{% assign c = row.x %}["{{ c }}",{{ c | json }}]', { x })).toEqual([x, x])
    expect(bodyOf('["{{ row.x | json }}",{{ row.x | json }}]', { x })).toEqual([JSON.stringify(x), x])
  })

  it.each(TEXTS)('%j is divided where the template writes quotes', x => {
    const parts = x.split(', ')
    for (const json of [
      `["{{ row.x | replace: ', ', '","' }}"]`,
      `["{{ row.x | split: ', ' | join: '","' }}"]`,
      `{% assign between = '","' %}["{{ row.x | replace: ', ', between }}"]`,
      `{% assign list = row.x | replace: ', ', '","' %}["{{ list }}"]`,
      `{% capture list %}{{ row.x | replace: ', ', '","' }}{% endcapture %}["{{ list }}"]`,
      `{% assign all = row.x | split: ', ' %}{% capture list %}{% for t in all %}{{ t }}{% unless forloop.last %}","{% endunless %}{% endfor %}{% endcapture %}["{{ list }}"]`,
    ])
      expect(bodyOf(json, { x }), json).toEqual(parts)
  })

  it('is what filters made of it', () => {
    const x = 'a"b'
    expect(bodyOf(`["{{ row.x | replace: '"', "'" }}"]`, { x })).toEqual(["a'b"])
    expect(bodyOf(`["{{ row.x | replace: '"', '\\\\"' }}"]`, { x })).toEqual(['a"b'])
    expect(bodyOf(`["{{ row.x | json | slice: 1, 4 }}"]`, { x })).toEqual(['a"b'])
    expect(bodyOf(`["{{ row.x | json | replace: '"', '\\\\"' }}"]`, { x: 'ab' })).toEqual(['"ab"'])
    expect(bodyOf(`["{{ row.x | url_encode }}"]`, { x })).toEqual(['a%22b'])
    expect(bodyOf(`["{{ row.x | base64_encode | base64_decode }}"]`, { x })).toEqual(['a"b'])
    expect(bodyOf(`["{{ row.x | raw }}"]`, { x: 'a\\nb' })).toEqual(['a\nb'])
  })

  it.each([
    ['a cut escape', '["{{ row.x | truncate: 1, "" }}","{{ row.y }}"]', ['\\', EVIL]],
    ['parts of it', `["{{ row.x | replace: 'a', '","' }}","{{ row.y }}"]`, ['\\', EVIL]],
    ['a removed backslash', `["{{ row.x | remove: '\\\\' }}","{{ row.y }}"]`, ['"', EVIL]],
    ['decoded quotes', '["{{ row.z | url_decode }}","{{ row.y }}"]', [EVIL, EVIL]],
    ['a list of maps', `["{{ row.l | join: '","' }}","{{ row.y }}"]`, ['{"a":"\\""}', EVIL]],
  ])('ends nowhere else: %s', (_what, json, texts) => {
    const row = {
      x: json.includes('remove') ? '\\"' : '\\',
      y: EVIL,
      z: encodeURIComponent(EVIL),
      l: [{ a: '"' }],
    }
    expect(bodyOf(json, row)).toEqual(texts)
  })

  it('whose quotes are there for some rows only is refused, unless it needs no escape', () => {
    const json = '[{% if row.q %}"{% endif %}{{ row.x }}{% if row.q %}"{% endif %}]'
    expect(bodyOf(json, { q: true, x: 'a' })).toEqual(['a'])
    expect(bodyOf(json, { q: false, x: 5 })).toEqual([5])
    expect(() => bodyOf(json, { q: true, x: EVIL })).toThrow('| json')
  })

  it('is found in a list of maps, by filters that look into them', () => {
    const row = {
      l: [
        { n: EVIL, k: 2 },
        { n: 'b', k: 1 },
      ],
      m: { c: EVIL },
      none: null,
    }
    const bodies: readonly (readonly [string, unknown])[] = [
      [`["{{ row.l | map: 'n' | join: '","' }}"]`, [EVIL, 'b']],
      [`["{{ row.l | sort: 'k' | map: 'n' | join: '","' }}"]`, ['b', EVIL]],
      [`["{{ row.l | reverse | map: 'n' | join: '","' }}"]`, ['b', EVIL]],
      [`["{{ row.l | where: 'k', 2 | map: 'n' | join: '","' }}"]`, [EVIL]],
      [`["{{ row.l | uniq: 'n' | map: 'n' | join: '","' }}"]`, [EVIL, 'b']],
      [`{% assign a = row.l | default: row.m %}{% assign b = a | concat: a %}["{{ b[2].n }}"]`, [EVIL]],
      [`{% assign f = '"' %}{% assign m = row.none | default: row.m | default: f %}["{{ m.c }}"]`, [EVIL]],
      [
        `{% assign w = row.l | where_exp: "i", "i.k == 2" | concat: row.l %}["{{ w | map: 'n' | join: '","' }}"]`,
        [EVIL, EVIL, 'b'],
      ],
      [`["{{ row.m | first | join: '","' }}"]`, ['c', EVIL]],
      [`["{{ row.m | default: '","' | append: '","' }}"]`, [JSON.stringify(row.m), '']],
    ]
    for (const [json, body] of bodies) expect(bodyOf(json, row), json).toEqual(body)
  })

  it('adds no field, whatever value of a row it is', () => {
    for (const v of VALUES) {
      const keys = (): string[] =>
        Object.keys(bodyOf('{"v":"{{ row.v }}","w":"{{ v | replace: ",", \'","\' }}"}', { v }) as object)
      let found: string[] = []
      try {
        found = keys()
      } catch {
        continue // Refused.
      }
      expect(found.slice(0, 2)).toEqual(['v', 'w'])
    }
  })
})
