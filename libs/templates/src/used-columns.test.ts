import type { ErrorDetail } from '@sluice/contracts/errors'
import { describe, expect, it } from 'vitest'
import type { BodySpec } from '@sluice/contracts/resources'
import { compileTrigger } from './compile.ts'

function used(json: string, batched = false, path = '/'): readonly string[] | 'all' {
  const batch = batched ? { batch: { size: 100, bytes: 1_000_000 } } : {}
  const spec = { method: 'POST', path, body: { json }, ...batch } as const
  const { usedColumns } = compileTrigger(spec, { sync: 'orders', op: 'changed' })
  return usedColumns === 'all' ? 'all' : [...usedColumns].toSorted()
}

describe('one row a request uses', () => {
  const cases: readonly (readonly [string, readonly string[] | 'all'])[] = [
    ['1', []],
    ['{{ a }}', ['a']],
    ['{{ row.a }}', ['a']],
    ["{{ row['a b'] }}", ['a b']],
    ["{{ ['a b'] }}", ['a b']],
    ['{{ row.a.b.c }}', ['a']],
    ['{{ row.a[b] }}', ['a', 'b']],
    ['{{ a | append: b | replace: "x", c }}', ['a', 'b', 'c']],
    [
      '{% if a == b and row.c contains d %}{{ e }}{% elsif f %}{% else %}{{ g }}{% endif %}',
      ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
    ],
    ['{% unless a %}{{ b }}{% endunless %}', ['a', 'b']],
    ['{% case a %}{% when b, c %}{{ d }}{% else %}{{ e }}{% endcase %}', ['a', 'b', 'c', 'd', 'e']],
    [
      '{% for x in list limit: n offset: m %}{{ x.name }}{{ forloop.index }}{{ other }}{% else %}{{ z }}{% endfor %}',
      ['list', 'm', 'n', 'other', 'z'],
    ],
    ['{% for i in (a..b) %}{{ i }}{% endfor %}', ['a', 'b']],
    ['{% tablerow x in list cols: c %}{{ x }}{% endtablerow %}', ['c', 'list']],
    ['{% cycle a, b %}', ['a', 'b']],
    ['{% echo a %}{% liquid\necho b\nassign c = d\n%}', ['a', 'b', 'd']],
    ['{% capture x %}{{ a }}{% endcapture %}{{ x }}', ['a']],
    ['{% comment %}{{ a }}{% endcomment %}{% raw %}"{{ b }}"{% endraw %}', []],
    ['{% assign x = a %}{{ x }}', ['a']],
    ['{{ x }}{% assign x = a %}', ['a', 'x']],
    ['{% if a %}{% assign x = b %}{% endif %}{{ x }}', ['a', 'b', 'x']],
    ['{% for r in rows %}{{ r.a }}{% endfor %}', ['a']],
    ['{{ rows[0].a }}{{ rows.first.b }}{{ rows.size }}{{ rows | size }}', ['a', 'b']],
    ['{{ previous.a }}{{ row.b }}', ['a', 'b']],
    ['{{ captured.id }}{{ run.id }}{{ sync.name }}', []],
    ['{{ list | where_exp: "x", "x.a == b" }}', ['b', 'list']],
    ['{{ row | json }}', 'all'],
    ['{{ row }}', 'all'],
    ['{{ rows | json }}', 'all'],
    ['{{ rows | map: "a" }}', 'all'],
    ['{{ rows[0] | json }}', 'all'],
    ['{{ rows[n].a }}', ['a', 'n']],
    ['{{ row[name] }}', 'all'],
    ['{{ [name] }}', 'all'],
    ['{% assign r = row %}{{ r.a }}', 'all'],
    ['{% for r in rows %}{% assign x = r %}{% endfor %}', 'all'],
    ['{% for pair in row %}{{ pair[0] }}{% endfor %}', 'all'],
    ['{{ previous | json }}', 'all'],
    ['{% if row == previous %}{% endif %}', 'all'],
  ]
  for (const [template, columns] of cases)
    it(`${columns === 'all' ? 'all columns' : `[${columns.join(', ')}]`} in ${template}`, () => {
      expect(used(template)).toEqual(columns)
    })
})

describe('a batch uses', () => {
  const cases: readonly (readonly [string, readonly string[] | 'all'])[] = [
    ['{% for row in rows %}{{ row.a }},{{ row.b | json }}{% endfor %}', ['a', 'b']],
    [
      '{% for r in rows reversed %}{% for t in r.tags %}{{ t.x }}{{ r.c }}{% endfor %}{% endfor %}',
      ['c', 'tags'],
    ],
    ['{% for row in rows %}{{ row | json }}{% endfor %}', 'all'],
    ['{% assign all = rows %}{% for row in all %}{{ row.a }}{% endfor %}', 'all'],
    ['{% for row in rows %}{{ row.previous.a }}{% endfor %}', ['a', 'previous']],
    ['{% for row in rows %}{{ row.previous | json }}{% endfor %}', 'all'],
    ['{% for row in rows %}{{ row.captured.id }}{% endfor %}', ['captured']],
    ['{{ rows.size }}{{ rows | size }}', []],
    ["{{ rows | where: 'a', 1 | sort: 'b' | size }}", ['a', 'b']],
    ["{{ rows | where_exp: 'r', 'r.a == 1' | size }}", ['a']],
    ['{{ rows | uniq | size }}', 'all'],
    ['{% for rows in rows %}{% for x in rows %}{{ x.a }}{% endfor %}{% endfor %}', 'all'],
  ]
  for (const [template, columns] of cases)
    it(`${columns === 'all' ? 'all columns' : `[${columns.join(', ')}]`} in ${template}`, () => {
      expect(used(template, true)).toEqual(columns)
    })
})

describe('used columns', () => {
  it('come from path, headers and body together', () => {
    const spec = {
      method: 'PUT',
      path: '/c/{{ id }}',
      headers: { 'X-A': '{{ row.version }}' },
      body: { json: '{{ name | json }}' },
    } as const
    const { usedColumns } = compileTrigger(spec, { sync: 'orders', op: 'changed' })
    expect(usedColumns).toEqual(new Set(['id', 'version', 'name']))
  })

  it('come from every kind of body', () => {
    const bodies = [
      [
        { fields: { x: 'a', y: ['b', { template: '{{ c }}{{ row.d }}' }], z: { value: 'e' } } },
        ['a', 'b', 'c', 'd'],
      ],
      [{ jsonColumn: 'a', wrap: '{"n":{{ b }},"items":{{ items }}}' }, ['a', 'b']],
      [{ xml: '<a>{{ a }}</a>' }, ['a']],
      [{ form: { x: '{{ a }}', y: '{{ row.b }}' } }, ['a', 'b']],
      [{ text: { contentType: 'text/plain', template: '{{ a }}' } }, ['a']],
    ] as const
    for (const [body, columns] of bodies) {
      const { usedColumns } = compileTrigger(
        { method: 'POST', path: '/', body },
        { sync: 'orders', op: 'added' },
      )
      expect(usedColumns).toEqual(new Set(columns))
    }
  })

  it('come from the texts of a batch that is mapped', () => {
    const body = { fields: { x: { template: '{{ row.a }}{{ b }}' } }, wrap: '{"items":{{ items }}}' }
    const spec = { method: 'POST', path: '/', batch: { size: 10, bytes: 1_000 }, body } as const
    const { usedColumns } = compileTrigger(spec, { sync: 'orders', op: 'added' })
    expect(usedColumns).toEqual(new Set(['a', 'b']))
  })
})

describe('columns that the model does not have', () => {
  function unknown(body: BodySpec, batched: boolean, path = '/'): readonly ErrorDetail[] {
    const batch = batched ? { batch: { size: 10, bytes: 1_000 } } : {}
    const trigger = compileTrigger({ method: 'POST', path, body, ...batch }, { sync: 'orders', op: 'added' })
    return trigger.unknownColumns(['id', 'email', 'full_name'])
  }

  it('are named with their place and the nearest name', () => {
    expect(
      unknown({ json: '{\n "a": {{ row.emial | json }},\n "b": {{ idd }}}' }, false, '/{{ nothing_near }}'),
    ).toEqual([
      { field: 'triggers.added.path', line: 1, column: 5, message: 'unknown column "nothing_near"' },
      {
        field: 'triggers.added.body.json',
        line: 2,
        column: 10,
        message: 'unknown column "emial"; did you mean "email"?',
      },
      {
        field: 'triggers.added.body.json',
        line: 3,
        column: 10,
        message: 'unknown column "idd"; did you mean "id"?',
      },
    ])
  })

  it('are found in batches', () => {
    expect(unknown({ json: '[{% for r in rows %}{{ r.fullname }}{{ r.id }}{% endfor %}]' }, true)).toEqual([
      {
        field: 'triggers.added.body.json',
        line: 1,
        column: 24,
        message: 'unknown column "fullname"; did you mean "full_name"?',
      },
    ])
  })

  it('are found in the field mapper and in JSON columns', () => {
    expect(unknown({ fields: { a: ['id', 'ids'], b: { template: '{{ mail }}' } } }, true)).toEqual([
      { field: 'triggers.added.body.fields.a[1]', message: 'unknown column "ids"; did you mean "id"?' },
      {
        field: 'triggers.added.body.fields.b.template',
        line: 1,
        column: 4,
        message: 'unknown column "mail"; did you mean "email"?',
      },
    ])
    expect(unknown({ fields: { active: 'true' } }, false)).toEqual([
      {
        field: 'triggers.added.body.fields.active',
        message: 'unknown column "true"; write { value: true } for the fixed value',
      },
    ])
    expect(unknown({ jsonColumn: 'doc' }, false)).toEqual([
      { field: 'triggers.added.body.jsonColumn', message: 'unknown column "doc"' },
    ])
  })

  it('may be columns of the row as it was delivered before', () => {
    expect(unknown({ json: '{{ previous.gone | json }}' }, false)).toEqual([])
    const json = '{% for r in rows %}{{ r.previous.gone }}{{ r.gone }}{% endfor %}'
    expect(unknown({ json }, true)).toMatchObject([{ column: 44, message: 'unknown column "gone"' }])
  })

  it('are no names that mean something else', () => {
    const json =
      '{{ x }}{% assign x = id %}{% increment n %}{{ n }}{{ run.id }}{{ captured.x | default: 1 }}{{ previous.id }}'
    expect(unknown({ json }, false)).toEqual([])
    expect(
      unknown({ json: '{% for row in rows %}{{ row.captured.x }}{{ row.previous.id }}{% endfor %}' }, true),
    ).toEqual([])
  })
})
