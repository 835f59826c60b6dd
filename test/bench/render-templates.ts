/**
 * Rows per second of `CompiledTrigger.render`, which checks the body too, beside bare `liquidjs.renderSync`
 * of the same template, in turns in the same process. Run: node test/bench/render-templates.ts
 */
import type { BodySpec } from '@sluice/contracts/resources'
import type { Row } from '@sluice/contracts/values'
import { compileTrigger } from '@sluice/templates/compile'
import { Liquid } from 'liquidjs'

const ROWS = 100
const ROUND_MS = 400
const ROUNDS = 5

const ALGOLIA = `[{% for row in rows %}{"objectID":"{{ row.id }}","type":"synonym","synonyms":["{{ row.synonyms | replace: ', ', '","' }}"],},{% endfor %}]`
const FIELDS = ['id', 'email', 'first', 'last', 'city', 'zip', 'country', 'age', 'score', 'active']
const OBJECT = `[{% for row in rows %}{${FIELDS.map(name => `"${name}":{{ row.${name} | json }}`).join(',')}},{% endfor %}]`
const TAGS = `[{% for row in rows %}{"id":{{ row.id }},"tags":[{% for tag in row.tags %}{% if tag != "" %}"{{ tag }}",{% endif %}{% endfor %}]},{% endfor %}]`
const MAPPED = {
  fields: Object.fromEntries(FIELDS.map(name => [name, name])),
  wrap: '{"inputs":{{ items }}}',
}
const SINGLE = `{"id":{{ id }},"email":"{{ row.email }}","name":"{{ first | append: ' ' | append: last }}"}`

function makeRow(index: number): Row {
  return {
    id: index,
    synonyms: 'car, auto, vehicle, automobile, motor car',
    email: `user${index}@example.com`,
    first: 'Ada',
    last: 'Lovelace',
    city: 'London',
    zip: '01010',
    country: 'GB',
    age: 36,
    score: 1.5,
    active: true,
    doc: `{"id":${index},"name":"Ada Lovelace","tags":["red","green","blue"],"score":1.50}`,
    tags: ['red', 'green', 'blue'],
  }
}

const rows = Array.from({ length: ROWS }, (_, index) => makeRow(index))
const templateRows = rows.map(row => ({ row, previous: null, captured: null }))
const context = { run: { id: '01JD', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'bench' } }
const liquid = new Liquid({
  ownPropertyOnly: true,
  strictFilters: true,
  memoryLimit: 1e9,
  renderLimit: 1e9,
  parseLimit: 1e9,
})

/** Calls it again and again for one round; gives calls per second. */
function measure(call: () => void): number {
  const start = performance.now()
  let calls = 0
  for (; performance.now() - start < ROUND_MS; calls++) call()
  return (calls * 1000) / (performance.now() - start)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

/** Measures a body beside the liquidjs template that makes the same of the rows. */
function compare(name: string, body: BodySpec, template: string, batched = true): void {
  const batch = batched ? { batch: { size: ROWS, bytes: 10_000_000 } } : {}
  const spec = { method: 'POST', path: '/1/indexes/main/batch', body, ...batch } as const
  const trigger = compileTrigger(spec, { sync: 'bench', op: 'added' })
  const parsed = liquid.parse(template)
  const row = rows[0] ?? {}
  const single = templateRows.slice(0, 1)
  const scope = { ...row, row, rows: [row] }
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(measure(() => void liquid.renderSync(parsed, batched ? { rows } : scope)))
    ours.push(
      measure(() => {
        const result = trigger.render(batched ? templateRows : single, context)
        if (result.kind === 'unrenderable') throw new Error(result.error)
      }),
    )
  }
  const perCall = batched ? ROWS : 1
  const [a, b] = [median(ours) * perCall, median(bare) * perCall]
  console.log(
    `${name.padEnd(28)} ${format(a)} rows/s   bare liquidjs ${format(b)} rows/s   ${(a / b).toFixed(2)}×`,
  )
}

function format(value: number): string {
  return Math.round(value).toLocaleString('en').padStart(10)
}

const DOCUMENTS = '[{% for row in rows %}{{ row.doc }},{% endfor %}]'

compare('algolia, batches of 100', { json: ALGOLIA }, ALGOLIA)
compare('10 fields with | json', { json: OBJECT }, OBJECT)
compare('tags, nested loops', { json: TAGS }, TAGS)
compare('field mapper, wrapped', MAPPED, OBJECT)
compare('jsonColumn', { jsonColumn: 'doc' }, DOCUMENTS)
compare('one row a request', { json: SINGLE }, SINGLE, false)
