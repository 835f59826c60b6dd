import { trigger } from '@sluice/contracts/resources'
import { describe, expect, it } from 'vitest'
import { jsonOutline, type JsonOutline } from './json-outline.ts'

const LOOP = (body: string, before = '[', behind = ']'): string =>
  `${before}{% for row in rows %}${body}{% endfor %}${behind}`

function outlineOf(body: object, batch?: { readonly size: number }): JsonOutline | null {
  return jsonOutline(
    trigger.parse({ method: 'POST', path: '/', body, ...(batch === undefined ? {} : { batch }) }),
  )
}

/** The body of so many rows, with `«…»` for each value. */
function shown(outline: JsonOutline | null, rows: number): string | null {
  if (outline === null) return null
  const { first, holes, inner, joint, last } = outline
  const row = holes.map(({ column, as }, index) => `«${as} ${column}»${inner[index] ?? ''}`).join('')
  return first + Array.from({ length: rows }, () => row).join(joint) + last
}

const batchOf = (json: string, rows = 2): string | null => shown(outlineOf({ json }, { size: 10 }), rows)
const rowOf = (json: string): string | null => shown(outlineOf({ json }), 1)

describe('the outline of a JSON body', () => {
  it('is what the template writes for one row, and for each further one', () => {
    const json = LOOP('{"a":{{ row.a | json }},"b":"{{ row.b }}"}\n,', ' {"rows":[', ']} ')
    expect(batchOf(json, 1)).toBe(' {"rows":[{"a":«json a»,"b":"«in string b»"}\n]} ')
    expect(batchOf(json, 3)).toBe(
      ' {"rows":[{"a":«json a»,"b":"«in string b»"}\n,{"a":«json a»,"b":"«in string b»"}\n,{"a":«json a»,"b":"«in string b»"}\n]} ',
    )
  })

  it('has no trailing commas', () => {
    expect(batchOf(LOOP('{"a":[{{ row.a | json }},],},'))).toBe('[{"a":[«json a»]},{"a":[«json a»]}]')
    expect(rowOf('{"a":{{ a | json }},}')).toBe('{"a":«json a»}')
  })

  it('takes a comma between rows only', () => {
    const unlessLast = '{% unless forloop.last %},{% endunless %}'
    expect(batchOf(LOOP(`{{ row.a | json }}${unlessLast} `))).toBe('[«json a», «json a» ]')
  })

  it('is there for the field mapper in its envelope', () => {
    const body = { fields: { id: 'id', more: [{ value: 1 }, 'b'] }, wrap: '{"inputs":{{ items }},}' }
    expect(shown(outlineOf(body, { size: 10 }), 2)).toBe(
      '{"inputs":[{"id":«json id»,"more":[1,«json b»]},{"id":«json id»,"more":[1,«json b»]}]}',
    )
    expect(shown(outlineOf(body), 1)).toBe('{"inputs":{"id":«json id»,"more":[1,«json b»]}}')
  })

  it('knows whether the body says something whatever the rows hold', () => {
    const says = (json: string) => outlineOf({ json }, { size: 10 })?.mustSaySomething
    expect(says(LOOP('{{ row.a | json }},'))).toBe(true)
    expect(says(LOOP('{"a":{{ row.a | json }},"b":1},'))).toBe(false)
    expect(says(LOOP('{"a":{{ row.a | json }},"{{ row.b }}":[]},'))).toBe(true)
    expect(says(LOOP('{"a":"{{ row.b }}"},'))).toBe(false)
  })
})

describe('no outline', () => {
  it('is there where rows could make the body something else than JSON', () => {
    for (const json of [
      ...[
        '{"a":{{ a }}1}',
        '{"a":1{{ a }}}',
        '{"a":-{{ a | json }}}',
        '{ {{ a | json }}:1}',
        '"{{ a | json }}"',
      ],
      ...['{"a":{{ a | json }}', '{{ a | json }}{{ b | json }}', '{"a":"\\{{ a }}"}', '{"a":"\\u00{{ a }}"}'],
      ...['{"a":\u0001,"b":{{ b | json }}}', '"\u0000{{ a }}"', 'nu{{ a }}'],
    ])
      expect([json, rowOf(json)]).toEqual([json, null])
    for (const body of ['{{ row.a | json }}', '[{{ row.a | json }},', '{{ row.a | json }}],', '"{{ row.a }}'])
      expect([body, batchOf(LOOP(body))]).toEqual([body, null])
    // JSON for two rows, and for no other number of them.
    expect(batchOf(LOOP('[{{ row.a | json }},', '[', ']]]'))).toBe(null)
  })

  it('is there for what depends on more than columns', () => {
    for (const json of [
      ...[
        '{{ captured.id | json }}',
        '{{ row.captured | json }}',
        '{{ row.size | json }}',
        '{{ a | size | json }}',
      ],
      ...['{{ row | json }}', '{{ run.id | json }}', '{{ row.a.b | json }}', '{{ rows[0].a | json }}'],
      ...[
        '{% if a %}{{ a | json }}{% endif %}',
        '{% assign a = 1 %}{{ a | json }}',
        '{{ "a" | json }}',
        '{"a":1}',
      ],
    ])
      expect([json, rowOf(json)]).toEqual([json, null])
    for (const json of [
      ...[
        LOOP('{{ row.a | json }},').replace('rows %}', 'rows reversed %}'),
        LOOP('{{ forloop.index | json }},'),
      ],
      ...[LOOP('{{ row.a | json }}{% if forloop.last %}{% else %},{% endif %}'), LOOP('{"a":1},')],
    ])
      expect([json, batchOf(json)]).toEqual([json, null])
    for (const fields of [
      { a: { template: '{{ a }}' } },
      { a: { column: 'a', whenNull: 'omit' } },
      { a: { value: 1 } },
    ])
      expect(outlineOf({ fields })).toBe(null)
    expect(outlineOf({ fields: { a: 'a' }, whenNull: 'empty' })).toBe(null)
  })
})
