import { describe, expect, it } from 'vitest'
import type { Change } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import { trigger, type TriggerSpec } from '@sluice/contracts/resources'
import { sampleChange, sampleRetried } from '@sluice/testkit/sample-records'
import { compileTrigger } from '../compile.ts'
import { HEAD_CEILING_BYTES, REQUEST_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { BODY_CEILING_BYTES, renderBatch, type Rendered } from './render-batch.ts'

const CONTEXT = { run: { id: 'RUN1', startedAt: '2026-01-01T00:00:00.000Z' }, sync: { name: 's' } }
const LIST = '[{% for row in rows %}{{ row.name | json }},{% endfor %}]'

function spec(fields: { readonly [field: string]: unknown }): TriggerSpec {
  return trigger.parse({ method: 'POST', path: '/rows', ...fields })
}

/** Batches of lists of names, with bodies of at most so many bytes. */
const listOf = (bytes: number): TriggerSpec => ({
  ...spec({ body: { json: LIST } }),
  batch: { size: 10, bytes },
})

function render(changes: readonly Change[], of: TriggerSpec, op: Op = 'added'): readonly Rendered[] {
  const compiled = compileTrigger(of, { sync: 's', op })
  return renderBatch({ op, changes, start: 0, end: changes.length }, compiled, CONTEXT)
}

/** Rows with these names; the key of each is its place. */
const named = (names: readonly string[]): readonly Change[] =>
  names.map((name, seq) => sampleChange({ seq, key: `${seq}`, after: { id: seq, name } }))

/** Returns the body of each group of rows, or the reason why it has none. */
const shown = (rendered: readonly Rendered[]) =>
  rendered.map(one => [
    one.rows.map(({ seq }) => seq),
    one.kind === 'unrenderable'
      ? 'unrenderable'
      : new TextDecoder('utf-8', { ignoreBOM: true }).decode(one.body ?? undefined),
  ])

describe('a batch of rows', () => {
  it('is one request, whose rows are in order', () => {
    const batch = listOf(1000)
    expect(shown(render(named(['a', 'b', 'c']), batch))).toEqual([[[0, 1, 2], '["a","b","c"]']])
  })

  it('is halved until no body is larger than its limit, counted in bytes and not in characters', () => {
    const batch = listOf(12)
    expect(shown(render(named(['aa', 'bb', 'cc', 'dd']), batch))).toEqual([
      [[0, 1], '["aa","bb"]'],
      [[2, 3], '["cc","dd"]'],
    ])
    expect(shown(render(named(['éé', 'bb']), batch))).toEqual([
      [[0], '["éé"]'],
      [[1], '["bb"]'],
    ])
  })

  it('gives the first half the odd row', () => {
    const batch = listOf(8)
    expect(shown(render(named(['a', 'b', 'c']), batch)).map(([rows]) => rows)).toEqual([[0], [1], [2]])
    const wider = listOf(10)
    expect(shown(render(named(['a', 'b', 'c']), wider)).map(([rows]) => rows)).toEqual([[0, 1], [2]])
  })

  it('sends a row alone whose body is larger than the limit of the batch', () => {
    const batch = listOf(6)
    expect(shown(render(named(['a long name', 'b']), batch))).toEqual([
      [[0], '["a long name"]'],
      [[1], '["b"]'],
    ])
  })

  it('leaves out the rows at fault alone, with the reason, wherever they stand', () => {
    const json = '[{% for row in rows %}{{ row.name }},{% endfor %}]'
    const batch = spec({ batch: { size: 10 }, body: { json } })
    const rendered = render(named(['1', '2', 'no JSON', '4', '5', 'nor this']), batch)
    expect(shown(rendered)).toEqual([
      [[0, 1], '[1,2]'],
      [[2], 'unrenderable'],
      [[3, 4], '[4,5]'],
      [[5], 'unrenderable'],
    ])
    for (const one of rendered) if (one.kind === 'unrenderable') expect(one.error).toContain('JSON')
  })

  it('is halved if its rows leave no room in the record of the request', () => {
    const key = 'k'.repeat(90_000)
    const rows = Array.from({ length: 400 }, (_, seq) =>
      sampleChange({ seq, key, after: { id: seq, name: 'a' } }),
    )
    const rendered = render(rows, { ...listOf(0), batch: { size: 1_000, bytes: 1_000_000 } })
    expect(rendered.map(({ kind, rows: own }) => [kind, own.length])).toEqual([
      ['request', 200],
      ['request', 200],
    ])
    const captured = JSON.stringify({ id: 'x'.repeat(REQUEST_CEILING_BYTES) })
    expect(render([sampleChange({ captured })], listOf(1_000))).toMatchObject([
      { kind: 'unrenderable', error: expect.stringContaining('the request with its row') },
    ])
  })

  it('gives the same requests every time', () => {
    const batch = listOf(14)
    const rows = named(['a', 'bb', 'ccc', 'dddd', 'eeeee'])
    expect(render(rows, batch)).toEqual(render(rows, batch))
  })
})

describe('a single row', () => {
  it('is rejected if its body is larger than the largest that is sent', () => {
    const text = spec({ body: { text: { contentType: 'text/plain', template: '{{ row.name }}' } } })
    const most = 'x'.repeat(BODY_CEILING_BYTES)
    expect(render(named([most]), text)).toMatchObject([{ kind: 'request', rows: [{ seq: 0 }] }])
    expect(render(named([`${most}x`]), text)).toMatchObject([
      { kind: 'unrenderable', error: expect.stringContaining(`${BODY_CEILING_BYTES + 1} bytes`) },
    ])
  })

  it('is rejected if its path and headers are larger than the largest that are sent', () => {
    const most = 'x'.repeat(HEAD_CEILING_BYTES - '/rows/'.length)
    const path = spec({ path: '/rows/{{ name }}' })
    expect(render(named([most]), path)).toMatchObject([{ kind: 'request' }])
    const reason = `path and headers have ${HEAD_CEILING_BYTES + 1} bytes`
    expect(render(named([`${most}x`]), path)).toMatchObject([
      { kind: 'unrenderable', error: expect.stringContaining(reason) },
    ])
    const header = spec({ headers: { 'X-Name': '{{ name }}' } })
    expect(render(named([`${most}x`]), header)).toMatchObject([{ kind: 'unrenderable' }])
  })

  it('has no body if the trigger has none', () => {
    expect(render(named(['a']), spec({ path: '/rows/{{ id }}' }))).toMatchObject([
      { kind: 'request', method: 'POST', path: '/rows/0', body: null },
    ])
  })

  it('renders the removed row, and knows the row before a change', () => {
    const of = spec({ path: '/rows/{{ name }}-{{ previous.name | default: "none" }}' })
    const before = { id: 1, name: 'old' }
    const removed = sampleChange({ op: 'removed', before, beforeState: 'present', after: null })
    expect(render([removed], of, 'removed')).toMatchObject([{ path: '/rows/old-none' }])
    const changed = sampleChange({ op: 'changed', before, after: { id: 1, name: 'new' } })
    expect(render([changed], of, 'changed')).toMatchObject([{ path: '/rows/new-old' }])
  })

  it('carries its captured values, and says if its state is uncertain', () => {
    const retried = sampleRetried()
    const rowOf = (fields: Partial<Change>) => render([sampleChange(fields)], spec({}))[0]?.rows[0]
    expect(rowOf({ retried, beforeState: 'existence-uncertain' })).toMatchObject({ uncertain: true, retried })
    expect(rowOf({ beforeState: 'content-uncertain' })).toMatchObject({ uncertain: true, retried: null })
    expect(rowOf({ beforeState: 'present' })).toMatchObject({ uncertain: false })
    expect(rowOf({ beforeState: 'absent' })).toMatchObject({ uncertain: false })
  })

  it('sees values captured from earlier answers, numbers exactly', () => {
    const change = sampleChange({ captured: '{"id":12345678901234567890}' })
    expect(render([change], spec({ path: '/rows/{{ captured.id }}' }))).toMatchObject([
      { path: '/rows/12345678901234567890' },
    ])
  })

  it('carries its captured values, and names the one that it lacks', () => {
    const of = spec({ path: '/rows/{{ captured.id }}' })
    const before = { id: 1, name: 'a' }
    const removed = (captured: string | null) =>
      sampleChange({ op: 'removed', before, beforeState: 'present', after: null, captured })
    expect(render([removed('{"id":7}')], of, 'removed')[0]?.rows).toMatchObject([{ captured: '{"id":7}' }])
    expect(render([removed('{"rev":1}')], of, 'removed')).toMatchObject([
      { kind: 'unrenderable', lacks: 'id', rows: [{ captured: '{"rev":1}' }] },
    ])
    const wrong = spec({ path: '/rows/{{ none }}/{{ captured.id }}' })
    expect(render([removed('{"id":7}')], wrong, 'removed')).toMatchObject([{ lacks: null }])
  })

  it('that lacks a captured value stands alone in a batch', () => {
    const json = '[{% for row in rows %}{{ row.captured.id }},{% endfor %}]'
    const of = spec({ batch: { size: 100 }, body: { json } })
    const changes = ['{"id":1}', null, '{"id":3}'].map((captured, seq) =>
      sampleChange({ op: 'removed', key: `${seq}`, seq, before: { id: seq }, after: null, captured }),
    )
    const rendered = render(changes, of, 'removed')
    const parts = rendered.map(one => [one.kind === 'request' ? null : one.lacks, one.rows.length])
    expect(parts).toEqual([
      [null, 1],
      ['id', 1],
      [null, 1],
    ])
  })
})
