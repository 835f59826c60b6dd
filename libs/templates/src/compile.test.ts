import { isSluiceError } from '@sluice/contracts/errors'
import type { TriggerSpec } from '@sluice/contracts/resources'
import type { Row } from '@sluice/contracts/values'
import { describe, expect, it } from 'vitest'
import { compileTrigger, type TemplateRow } from './compile.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }
const PLACE = { sync: 'orders', op: 'added' } as const

function seen(row: Row): TemplateRow {
  return { row, previous: null, captured: null }
}

function spec(parts: Partial<TriggerSpec>): TriggerSpec {
  return { method: 'POST', path: '/', ...parts }
}

describe('a trigger', () => {
  it('gives method, path, headers and body', () => {
    const trigger = compileTrigger(
      spec({
        method: 'PUT',
        path: '/c/{{ id }}',
        headers: { 'X-Run': '{{ run.id }}', Accept: 'application/json' },
        body: { json: '{"id":{{ id | json }}}' },
      }),
      PLACE,
    )
    expect(trigger.render([seen({ id: 7 })], CONTEXT)).toEqual({
      kind: 'rendered',
      method: 'PUT',
      path: '/c/7',
      headers: { 'Content-Type': 'application/json', 'X-Run': '01JD', Accept: 'application/json' },
      body: '{"id":7}',
    })
  })

  it('has no body and no Content-Type if the trigger has no body', () => {
    const trigger = compileTrigger(spec({ method: 'DELETE', path: '/c/{{ id }}' }), PLACE)
    expect(trigger.render([seen({ id: 7 })], CONTEXT)).toEqual({
      kind: 'rendered',
      method: 'DELETE',
      path: '/c/7',
      headers: {},
      body: null,
    })
  })

  it('leaves Content-Type to the user, however it is written', () => {
    const headers = { 'content-type': 'application/vnd.api+json' }
    const trigger = compileTrigger(spec({ headers, body: { json: '1' } }), PLACE)
    expect(trigger.render([seen({})], CONTEXT)).toMatchObject({ headers })
  })

  it('leaves Content-Type to the destination if that sets it', () => {
    const trigger = compileTrigger(spec({ body: { json: '1' } }), {
      ...PLACE,
      destinationHeaders: ['CONTENT-TYPE'],
    })
    expect(trigger.render([seen({})], CONTEXT)).toHaveProperty('headers', {})
  })

  it('sets the Content-Type that fits the body', () => {
    const bodies = [
      [{ json: '1' }, 'application/json'],
      [{ fields: { a: 'a' } }, 'application/json'],
      [{ jsonColumn: 'a' }, 'application/json'],
      [{ xml: '<a/>' }, 'application/xml'],
      [{ form: { a: '1' } }, 'application/x-www-form-urlencoded'],
      [{ text: { contentType: 'text/csv; charset=utf-8', template: '1' } }, 'text/csv; charset=utf-8'],
    ] as const
    for (const [body, contentType] of bodies) {
      const result = compileTrigger({ method: 'POST', path: '/', body }, PLACE).render(
        [seen({ a: '1' })],
        CONTEXT,
      )
      expect(result).toMatchObject({ headers: { 'Content-Type': contentType } })
    }
  })

  it('has the limits of its batch', () => {
    const batch = { size: 50, bytes: 2_000 }
    expect(compileTrigger(spec({ batch, body: { json: '[1]' } }), PLACE).batch).toEqual(batch)
    expect(compileTrigger(spec({}), PLACE).batch).toBeNull()
  })

  it('renders the same bytes each time', () => {
    const trigger = compileTrigger(
      spec({
        body: { json: '{"at":"{{ "now" | date: "%s" }}","n":{% increment n %},"c":"{% cycle "a", "b" %}"}' },
      }),
      PLACE,
    )
    const first = trigger.render([seen({ id: 1 })], CONTEXT)
    expect(trigger.render([seen({ id: 1 })], CONTEXT)).toEqual(first)
    expect(first).toMatchObject({ body: '{"at":"1709210096","n":0,"c":"a"}' })
  })

  it('goes on after a row that cannot be rendered', () => {
    const trigger = compileTrigger(spec({ path: '/{{ id }}' }), PLACE)
    expect(trigger.render([seen({ id: null })], CONTEXT).kind).toBe('unrenderable')
    expect(trigger.render([seen({ id: 1 })], CONTEXT)).toMatchObject({ path: '/1' })
  })

  it('changes no row', () => {
    const row = Object.freeze({ id: 1, list: Object.freeze([3, 1, 2]) })
    const json = '{% assign id = 5 %}{% increment id %}{{ list | sort | reverse | push: 4 | json }}'
    const trigger = compileTrigger(spec({ path: '/', headers: { X: json } }), PLACE)
    expect(trigger.render([seen(row)], CONTEXT)).toMatchObject({ headers: { X: '0[3,2,1,4]' } })
    expect(row).toEqual({ id: 1, list: [3, 1, 2] })
  })

  it('renders large rows, for which the limits grow', () => {
    const text = 'x'.repeat(4_000_000)
    const list = Array.from({ length: 300_000 }, (_, index) => index)
    const json =
      '{"t":"{{ text | upcase | downcase | strip }}","n":[{% for x in list %}{{ x }},{% endfor %}]}'
    const result = compileTrigger(spec({ body: { json } }), PLACE).render([seen({ text, list })], CONTEXT)
    expect(result.kind === 'rendered' ? result.body?.length : result).toBe(5_988_904)
  })

  it('maps large values, for which the limits grow', () => {
    const list = Array.from({ length: 90 }, () => ['x'.repeat(50_000)])
    const trigger = compileTrigger(spec({ body: { json: '{{ list | json }}' } }), PLACE)
    const mapped = compileTrigger({ method: 'POST', path: '/', body: { fields: { list: 'list' } } }, PLACE)
    expect(trigger.render([seen({ list })], CONTEXT).kind).toBe('rendered')
    expect(mapped.render([seen({ list })], CONTEXT).kind).toBe('rendered')
  })

  it('rejects a text that grows beyond all measure', () => {
    const json = '{% for i in (1..100000) %}{{ text }}{% endfor %}'
    const trigger = compileTrigger(spec({ body: { json } }), PLACE)
    expect(trigger.render([seen({ text: 'x'.repeat(10_000) })], CONTEXT)).toEqual({
      kind: 'unrenderable',
      error:
        'body.json: the rendered text is longer than 16000000 characters (line 1, column 27 of the template)',
      lacks: null,
    })
  })

  it('refuses a wrong number of rows', () => {
    const batched = compileTrigger(spec({ batch: { size: 2, bytes: 100 }, body: { json: '[1]' } }), PLACE)
    expect(() => batched.render([], CONTEXT)).toThrow('a request of a batch cannot have 0 rows')
    const single = compileTrigger(spec({}), PLACE)
    expect(() => single.render([seen({}), seen({})], CONTEXT)).toThrow(
      'a request of one row cannot have 2 rows',
    )
  })

  it('is refused if it removes rows without naming one', () => {
    const compile = (parts: Partial<TriggerSpec>) =>
      compileTrigger(spec({ method: 'DELETE', path: '/customers', ...parts }), { sync: 's', op: 'removed' })
    const batch = { size: 10, bytes: 1_000 }
    for (const parts of [{}, { batch }, { path: '/{{ run.id }}?n={{ rows.size }}' }])
      expect(() => compile(parts)).toThrow('a DELETE for a removed row names no row')
    for (const parts of [
      { allowEmpty: true },
      { path: '/customers?id={{ id }}' },
      { path: '/customers?ids={{ rows | map: "id" | join: "," }}', batch },
      { headers: { 'X-Id': '{{ captured.id }}' } },
      { method: 'POST' },
      { body: { json: '{{ id }}' } },
    ] as const)
      expect(compile(parts).batch).toEqual('batch' in parts ? batch : null)
  })

  it('is refused if it is a batch that says nothing of its rows', () => {
    const batch = { size: 10, bytes: 1_000 }
    const compile = (parts: Partial<TriggerSpec>) => compileTrigger(spec({ batch, ...parts }), PLACE)
    for (const parts of [{}, { body: { form: {} } }, { path: '/x/{{ run.id }}' }] as const)
      expect(() => compile(parts)).toThrow('a batch without a body says nothing of its rows')
    for (const parts of [
      { allowEmpty: true },
      { body: { form: {} }, allowEmpty: true },
      { path: '/people?ids={{ rows | map: "id" | join: "," }}' },
      { headers: { 'X-First': '{{ rows.first.id }}' } },
      { body: { form: { a: '1' } } },
    ] as const)
      expect(compile(parts).batch).toEqual(batch)
    expect(compileTrigger(spec({}), PLACE).batch).toBeNull()
  })

  it.each([
    ['/1/indexes/{indexName}/batch', '{indexName}', 12],
    ['/c?q={q}', '{q}', 5],
    ['/{{ id }}/{list-id}', '{list-id}', 11],
  ])('asks about a place that stands for no value in the path %s', (path, found, column) => {
    expect(() => compileTrigger(spec({ path }), PLACE)).toThrow(
      expect.objectContaining({
        details: [
          expect.objectContaining({
            field: 'triggers.added.path',
            message: expect.stringContaining(`the path has "${found}", which stands for no value`),
          }),
        ],
      }),
    )
    expect(column).toBeGreaterThan(0)
  })

  it('checks the properties that filters read of rows against the columns', () => {
    const json = `{% assign active = rows | where: 'satus', 'on' | sort: 'name' %}
      {{ rows | map: 'nmae' | json }}{% for r in active %}{{ r.emial }}{% endfor %}
      {{ rows | where_exp: 'r', 'r.agee > 1' | size }}{{ rows.first.idd }}{% assign one = rows | find: 'id', 1 %}{{ one.nam }}`
    const columns = ['id', 'name', 'status', 'email', 'age']
    const batch = { size: 10, bytes: 1_000 }
    const trigger = compileTrigger(spec({ batch, body: { json } }), PLACE)
    expect(trigger.unknownColumns(columns).map(({ line, message }) => [line, message])).toEqual([
      [1, 'unknown column "satus"; did you mean "status"?'],
      [2, 'unknown column "nmae"; did you mean "name"?'],
      [2, 'unknown column "emial"; did you mean "email"?'],
      [3, 'unknown column "agee"; did you mean "age"?'],
      [3, 'unknown column "idd"; did you mean "id"?'],
      [3, 'unknown column "nam"; did you mean "name"?'],
    ])
  })

  it('suggests the right name for a misspelt row', () => {
    const trigger = compileTrigger(spec({ body: { json: '{{ rwo.v | json }}' } }), PLACE)
    expect(trigger.unknownColumns(['id', 'v'])).toEqual([
      {
        field: 'triggers.added.body.json',
        line: 1,
        column: 4,
        message: 'unknown column "rwo"; did you mean "row"?',
      },
    ])
  })

  it('is refused with the mistakes of all its templates', () => {
    let caught: unknown
    try {
      compileTrigger(
        spec({
          path: '/{{ a | x1 }}',
          headers: { 'X-A': '{% b', 'x-a': '1', 'bad name': '1' },
          body: { json: '\n{{ }}' },
        }),
        PLACE,
      )
    } catch (error) {
      caught = error
    }
    if (!isSluiceError(caught, 'template')) throw caught
    expect(caught.message).toBe(
      'sync orders: the template triggers.added.path is wrong at line 1, column 9: unknown filter "x1"',
    )
    expect(caught.details.map(({ field, line, column, message }) => [field, line, column, message])).toEqual([
      ['triggers.added.path', 1, 9, 'unknown filter "x1"'],
      ['triggers.added.headers.X-A', 1, 1, 'tag "{% b" not closed'],
      ['triggers.added.headers.x-a', undefined, undefined, 'the header x-a is there twice'],
      ['triggers.added.headers.bad name', undefined, undefined, '"bad name" is no header name'],
      ['triggers.added.body.json', 2, 1, '{{ }} is empty: name a value'],
    ])
  })
})
