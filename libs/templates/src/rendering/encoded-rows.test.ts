/**
 * Rows that stay encoded make the same requests as rows that are decoded, byte for byte: every body of the
 * tables that say what templates do, and templates of random pieces over random rows of all types.
 */
import { changeSchema } from '@sluice/contracts/avro/schemas'
import type { AnyRow } from '@sluice/contracts/avro/encoded-row'
import type { Change } from '@sluice/contracts/records'
import type { TriggerSpec } from '@sluice/contracts/resources'
import { OPS, type Op } from '@sluice/contracts/state'
import {
  Decimal,
  JsonText,
  type Column,
  type ColumnType,
  type Row,
  type Value,
} from '@sluice/contracts/values'
import { avroType } from '@sluice/schema-codec/adapters/avro'
import { AvroCodec } from '@sluice/schema-codec/adapters/avro-codec'
import { Random, randomColumns, randomRow } from '@sluice/schema-codec/test/random-rows'
import { sampleChange } from '@sluice/testkit/sample-records'
import type { RenderCase } from '../../test/cases/case.ts'
import { EXACTNESS_CASES } from '../../test/cases/exactness.ts'
import { NAME_CASES } from '../../test/cases/names.ts'
import { HEADER_CASES } from '../../test/cases/requests/headers.ts'
import { JSON_CASES } from '../../test/cases/requests/json-bodies.ts'
import { JSON_COLUMN_CASES } from '../../test/cases/requests/json-columns.ts'
import { MAPPED_CASES } from '../../test/cases/requests/mapped-bodies.ts'
import { PATH_CASES } from '../../test/cases/requests/paths.ts'
import { SILENT_BATCH_CASES } from '../../test/cases/requests/silent-batches.ts'
import { TEXT_CASES } from '../../test/cases/requests/text-bodies.ts'
import { compileTrigger, type CompiledTrigger } from '../compile.ts'
import { RecordIo } from '@sluice/topics/record-io'
import { afterAll, describe, expect, it } from 'vitest'
import { renderBatch } from './render-batch.ts'

const CONTEXT = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'orders' } }
const { signal } = new AbortController()

/** Schemas in memory. */
const schemas: object[] = []
const codec = new AvroCodec({
  register: (_subject, schema) => Promise.resolve(schemas.push(schema) - 1),
  typeById: id => Promise.resolve(avroType(schemas[id] ?? {})),
  [Symbol.asyncDispose]: () => Promise.resolve(),
})
const io = RecordIo.reading(codec, 'test')
afterAll(() => codec[Symbol.asyncDispose]())

interface Both {
  readonly encoded: readonly Change<AnyRow>[]
  readonly decoded: readonly Change[]
}

/** The same changes as a renderer reads them, and with decoded rows. */
async function bothOf(columns: readonly Column[], changes: readonly Change[]): Promise<Both> {
  const of = { sync: 'orders', incarnation: 'i', schema: changeSchema(columns) }
  const encoder = await io.changeEncoder(of, { signal })
  const bytes = changes.map(change => encoder.encode({ unfit: null, ...change }))
  return {
    encoded: (await io.decodeKeepingRows(bytes, { signal })).map(({ value }) => value as Change<AnyRow>),
    decoded: (await io.decode(bytes, { signal })).map(({ value }) => value as Change),
  }
}

/** Counts the requests with a body that was written from encoded rows. */
let written = 0

function compare(trigger: CompiledTrigger, { encoded, decoded }: Both, note: string): void {
  const [first] = decoded
  const op = OPS.find(each => each === first?.op)
  if (first === undefined || op === undefined) throw new Error('there is no change to render')
  const of = { op, start: 0, end: decoded.length }
  const counting: CompiledTrigger = {
    ...trigger,
    batch: trigger.batch,
    render: (...given) => trigger.render(...given),
    renderEncoded: (...given) => {
      const made = trigger.renderEncoded(...given)
      if (made !== null) written += 1
      return made
    },
    unknownColumns: () => [],
    uncapturedNames: () => [],
  }
  const context = { ...CONTEXT, naming: Object.keys(first.after ?? {}).slice(0, 2) }
  const shown = (rendered: ReturnType<typeof renderBatch>) =>
    rendered.map(one =>
      one.kind === 'request' && one.body !== null
        ? { ...one, body: Buffer.from(one.body).toString('hex') }
        : one,
    )
  const found = shown(renderBatch({ ...of, changes: encoded }, counting, context))
  expect(found, note).toEqual(shown(renderBatch({ ...of, changes: decoded }, trigger, context)))
}

/** The type of the column that holds these values; undefined if no column does. */
function typeFor(values: readonly Value[]): ColumnType | undefined {
  const types = values.filter(value => value !== null).map(typeOf)
  const [first = { kind: 'text' } as const, ...others] = types
  return others.every(other => JSON.stringify(other) === JSON.stringify(first)) ? first : undefined
}

function typeOf(value: Value): ColumnType | undefined {
  if (typeof value === 'string') return { kind: 'text' }
  if (typeof value === 'boolean') return { kind: 'boolean' }
  if (typeof value === 'number') return { kind: Number.isSafeInteger(value) ? 'long' : 'double' }
  if (value instanceof JsonText) return { kind: 'json' }
  if (value instanceof Uint8Array) return { kind: 'bytes' }
  if (value instanceof Decimal) {
    const [, scale = ''] = value.text.split('.')
    return /^-?\d+\.\d+$/.test(value.text)
      ? { kind: 'decimal', precision: 38, scale: scale.length }
      : undefined
  }
  if (!Array.isArray(value)) return undefined
  const of = typeFor(value)
  return of === undefined ? undefined : { kind: 'list', of }
}

function columnsFor(rows: readonly Row[]): readonly Column[] | undefined {
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))]
  const columns = names.map(name => ({ name, type: typeFor(rows.map(row => row[name] ?? null)) }))
  return columns.every((column): column is Column => column.type !== undefined) ? columns : undefined
}

describe('rows that stay encoded', () => {
  it('make the requests of every table', async () => {
    const tables = [
      ...[NAME_CASES, EXACTNESS_CASES, JSON_CASES, JSON_COLUMN_CASES, MAPPED_CASES, SILENT_BATCH_CASES],
      ...[TEXT_CASES, PATH_CASES, HEADER_CASES],
    ]
    written = 0
    let compared = 0
    for (const each of tables.flat()) {
      const batched = each.rows !== undefined
      const rows = each.rows ?? [each.row ?? {}]
      const columns = columnsFor([...rows, ...(each.previous === undefined ? [] : [each.previous])])
      const trigger = columns === undefined ? null : compiled(each, batched)
      if (columns === undefined || trigger === null || rows.length === 0) continue
      compared += 1
      const captured = each.captured === undefined ? null : JSON.stringify(each.captured)
      const changes = rows.map((after, seq) =>
        sampleChange({ seq, op: 'changed', key: `${seq}`, after, before: each.previous ?? null, captured }),
      )
      compare(trigger, await bothOf(columns, changes), each.it)
    }
    expect(compared).toBeGreaterThan(150)
    expect(written).toBeGreaterThan(10)
  })

  it('make the requests of random templates over random rows of all types', async () => {
    const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)
    written = 0
    for (let round = 0; round < 8; round += 1) {
      const note = `SLUICE_TEST_SEED=${seed + round}`
      const random = new Random(seed + round)
      const columns = randomColumns(random)
      const rows = Array.from({ length: 1 + random.below(6) }, () => randomRow(columns, random))
      const op = random.pick<Op>(['added', 'changed', 'removed'])
      const changes = rows.map((row, seq) =>
        sampleChange({
          ...{ seq, op, key: `${seq}`, captured: random.below(2) === 0 ? null : '{"id":"7"}' },
          ...{ before: op === 'added' ? null : (rows[seq - 1] ?? row), after: op === 'removed' ? null : row },
        }),
      )
      const batch = await bothOf(columns, changes)
      const single = await bothOf(columns, changes.slice(0, 1))
      for (let template = 0; template < 12; template += 1) {
        const spec = randomSpec(columns, random)
        const trigger = compileTrigger(spec, { sync: 'orders', op })
        compare(trigger, spec.batch === undefined ? single : batch, `${note} ${JSON.stringify(spec)}`)
      }
    }
    expect(written).toBeGreaterThan(15)
  })

  it.each([
    ['a property of the row before', '{{ rows | where: "previous.status", "open" | size }}'],
    ['a column whose name is two words', '{{ rows | where: "order total", "2" | size }}'],
    ['a column whose name has a dot', '{{ rows | where: "a.b", "2" | size }}'],
    ['several filters', '{{ rows | sort: "order total" | uniq: "order total" | size }}'],
    ['a count of rows with something before', '{{ rows | where: "previous" | size }}'],
  ])('count rows by %s as decoded rows do', async (_, count) => {
    const columns = ['id', 'status', 'order total', 'a.b'].map(
      name => ({ name, type: { kind: 'text' } }) as const,
    )
    const rowOf = (id: string, status: string): Row => ({ id, status, 'order total': id, 'a.b': id })
    const changes = ['1', '2', '3'].map((id, seq) =>
      sampleChange({ seq, op: 'changed', key: id, after: rowOf(id, 'paid'), before: rowOf(id, 'open') }),
    )
    const json = `{"count":${count},"ids":[{% for r in rows %}{{ r.id | json }},{% endfor %}]}`
    const spec = { method: 'POST', path: '/', batch: { size: 50, bytes: 1_000 }, body: { json } } as const
    const trigger = compileTrigger(spec, { sync: 'orders', op: 'changed' })
    const both = await bothOf(columns, changes)
    compare(trigger, both, count)
    const [request] = renderBatch(
      { op: 'changed', changes: both.encoded, start: 0, end: 3 },
      trigger,
      CONTEXT,
    )
    expect(request?.kind === 'request' && Buffer.from(request.body ?? []).toString()).toMatch(
      /"count":[1-3],/,
    )
  })

  it('are rejected if only the names of members say something of them', async () => {
    const columns: readonly Column[] = [
      { name: 'id', type: { kind: 'text' } },
      { name: 'tags', type: { kind: 'list', of: { kind: 'text' } } },
    ]
    const changes = ['1', '2'].map((id, seq) => sampleChange({ seq, key: id, after: { id, tags: [] } }))
    const json = '{ {% for r in rows %}"{{ r.id }}": {{ r.tags | json }},{% endfor %} }'
    const spec = { method: 'POST', path: '/', batch: { size: 50, bytes: 1_000 }, body: { json } } as const
    const trigger = compileTrigger(spec, { sync: 'orders', op: 'added' })
    const both = await bothOf(columns, changes)
    compare(trigger, both, json)
    const made = renderBatch({ op: 'added', changes: both.encoded, start: 0, end: 2 }, trigger, CONTEXT)
    expect(made.map(({ kind }) => kind)).not.toContain('request')
  })

  it('make the request of a row whose values do not fit their columns', async () => {
    const columns: readonly Column[] = [{ name: 'n', type: { kind: 'long' } }]
    const rows = [{ n: 'n/a' }, { n: 1 }]
    const both = await bothOf(
      columns,
      rows.map((after, seq) => sampleChange({ seq, after })),
    )
    const json = '[{% for row in rows %}{{ row.n | json }},{% endfor %}]'
    const spec = { method: 'POST', path: '/', batch: { size: 50, bytes: 1_000 }, body: { json } } as const
    const trigger = compileTrigger(spec, { sync: 'orders', op: 'added' })
    compare(trigger, both, 'a text where whole numbers are')
    const [request] = renderBatch({ op: 'added', changes: both.encoded, start: 0, end: 2 }, trigger, CONTEXT)
    expect(request?.kind === 'request' && Buffer.from(request.body ?? []).toString()).toBe('["n/a",1]')
  })
})

function compiled(each: RenderCase, batched: boolean): CompiledTrigger | null {
  const { json, path = '/', header, allowEmpty } = each
  const body = json === undefined ? each.body : { json }
  const spec: TriggerSpec = {
    method: 'POST',
    path,
    ...(batched ? { batch: { size: 100, bytes: 1_000_000 } } : {}),
    ...(header === undefined ? {} : { headers: { 'X-Case': header } }),
    ...(body === undefined ? {} : { body }),
    ...(allowEmpty === undefined ? {} : { allowEmpty }),
  }
  try {
    return each.liquid === undefined ? compileTrigger(spec, { sync: 'orders', op: 'changed' }) : null
  } catch {
    return null // Refused, as `cases.test.ts` shows.
  }
}

/**
 * A body that mostly has an outline, and sometimes is wrong: the two ways have to agree on the error, too.
 */
function randomSpec(columns: readonly Column[], random: Random): TriggerSpec {
  const batched = random.below(3) > 0
  // A name in Liquid has no quotes of both kinds.
  const names = columns.map(({ name }) => name).filter(name => !name.includes("'"))
  const name = (): string => names[random.below(names.length)] ?? 'id'
  const path =
    random.below(3) === 0 && !batched ? `/x/{{ row['${name()}'] | default: 1 | url_encode }}` : '/x'
  const base = { method: 'POST', path, ...(batched ? { batch: { size: 50, bytes: 20_000 } } : {}) } as const
  if (random.below(4) === 0) {
    const fields = Object.fromEntries(
      Array.from({ length: 1 + random.below(4) }, (_, index) => {
        const column = name()
        const spec = random.pick<unknown>([
          column,
          [column, { value: 'é' }],
          { a: { column, whenNull: 'keep' } },
        ])
        return [`f${index}`, spec] as const
      }),
    )
    const wrap = random.pick<string | undefined>([undefined, '{"inputs":{{ items }},}', '{{ items }}'])
    return { ...base, body: { fields, ...(wrap === undefined ? {} : { wrap }) } }
  }
  const value = (): string => {
    const of = `row['${name()}']`
    return random.pick([
      ...([
        `{{ ${of} | json }}`,
        `{{ ${of} | json }}`,
        `{{ ${of} | json }}`,
        `"{{ ${of} }}"`,
        `{{ ${of} }}`,
      ] as const),
      ...[`"é {{ ${of} }} x"`, `[{{ ${of} | jsonify }},]`, `{{ ${of} | size }}`, `{"n":{{ ${of} | json }},}`],
    ])
  }
  const fields = Array.from({ length: 1 + random.below(4) }, (_, index) => `"k${index}": ${value()}`).join(
    ', ',
  )
  const item = random.pick([`{${fields}}`, `{${fields},}`, value()])
  if (!batched) return { ...base, body: { json: item } }
  const [separator, end] = random.pick<readonly [string, string]>([
    [',', ''],
    [' , \n', ''],
    ['{% unless forloop.last %},{% endunless %}', ''],
    ['{% unless forloop.last %}, {% endunless %}\n', ''],
    ['', ''],
    [',', 'null'],
  ])
  return { ...base, body: { json: `{"rows":[{% for row in rows %}${item}${separator}{% endfor %}${end}]}` } }
}
