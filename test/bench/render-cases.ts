/** The bodies of the rendering benchmarks, and the liquidjs templates that render the same text from rows. */
import type { BodySpec } from '@sluice/contracts/resources'
import type { Column, Row } from '@sluice/contracts/values'
import { Liquid } from 'liquidjs'

export interface RenderBench {
  readonly name: string
  readonly body: BodySpec
  readonly template: string
  /** False: one row a request. */
  readonly batched: boolean
  /** Columns that a model for it has. */
  readonly columns: readonly string[]
}

const ALGOLIA = `[{% for row in rows %}{"objectID":"{{ row.id }}","type":"synonym","synonyms":["{{ row.synonyms | replace: ', ', '","' }}"],},{% endfor %}]`
const FIELDS = ['id', 'email', 'first', 'last', 'city', 'zip', 'country', 'age', 'score', 'active']
const OBJECT = `[{% for row in rows %}{${FIELDS.map(name => `"${name}":{{ row.${name} | json }}`).join(',')}},{% endfor %}]`
const TAGS = `[{% for row in rows %}{"id":{{ row.id }},"tags":[{% for tag in row.tags %}{% if tag != "" %}"{{ tag }}",{% endif %}{% endfor %}]},{% endfor %}]`
const MAPPED = {
  fields: Object.fromEntries(FIELDS.map(name => [name, name])),
  wrap: '{"inputs":{{ items }}}',
}
const SINGLE = `{"id":{{ id }},"email":"{{ row.email }}","name":"{{ first | append: ' ' | append: last }}"}`
const DOCUMENTS = '[{% for row in rows %}{{ row.doc }},{% endfor %}]'

export const RENDER_BENCHES: readonly RenderBench[] = [
  {
    name: 'algolia, batches of 100',
    body: { json: ALGOLIA },
    template: ALGOLIA,
    batched: true,
    columns: ['id', 'synonyms'],
  },
  {
    name: '10 fields with | json',
    body: { json: OBJECT },
    template: OBJECT,
    batched: true,
    columns: FIELDS,
  },
  {
    name: 'tags, nested loops',
    body: { json: TAGS },
    template: TAGS,
    batched: true,
    columns: ['id', 'tags'],
  },
  { name: 'field mapper, wrapped', body: MAPPED, template: OBJECT, batched: true, columns: FIELDS },
  {
    name: 'jsonColumn',
    body: { jsonColumn: 'doc' },
    template: DOCUMENTS,
    batched: true,
    columns: ['id', 'doc'],
  },
  {
    name: 'one row a request',
    body: { json: SINGLE },
    template: SINGLE,
    batched: false,
    columns: ['id', 'email', 'first', 'last'],
  },
]

const TYPES: { readonly [column: string]: Column['type'] } = {
  id: { kind: 'long' },
  age: { kind: 'integer' },
  score: { kind: 'double' },
  active: { kind: 'boolean' },
  tags: { kind: 'list', of: { kind: 'text' } },
}

export function columnsOf({ columns }: RenderBench): readonly Column[] {
  return columns.map(name => ({ name, type: TYPES[name] ?? { kind: 'text' } }))
}

export function benchRow(index: number): Row {
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

/** liquidjs with its safest settings, and with limits that no template here reaches. */
export const bareLiquid = new Liquid({
  ownPropertyOnly: true,
  strictFilters: true,
  memoryLimit: 1e9,
  renderLimit: 1e9,
  parseLimit: 1e9,
})
