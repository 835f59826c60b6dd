/** A small project for scenarios: people from a CSV, each a request of its own. */
export const SYNC = 'people'

export const ADDED = `method: PUT, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' }`
const REMOVED = `method: DELETE, path: '/people/{{ id }}'`
const TRIGGERS = `
  added: { ${ADDED} }
  changed: added
  removed: { ${REMOVED} }`

export interface PeopleOptions {
  readonly sql?: string
  readonly primaryKey?: string
  /** Further fields of the destination, one a line. */
  readonly destination?: string
  /** Further fields of the sync, one a line. */
  readonly sync?: string
  /** The YAML below `triggers:`. */
  readonly triggers?: string
}

/** The project file. The destination's base URL is the environment's `API_URL`. */
export function peopleYaml(options: PeopleOptions = {}): string {
  const {
    sql = `select id, name from 'people.csv'`,
    primaryKey = 'id',
    destination = '',
    sync = '',
  } = options
  const { triggers = TRIGGERS } = options
  return `
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: people
source: files
sql: |
  ${sql}
primaryKey: ${primaryKey}
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
${destination}
---
kind: sync
name: ${SYNC}
model: people
destination: api
${sync}
triggers: ${triggers}
`
}

/** A CSV of people, from its lines. */
export function peopleCsv(...rows: readonly string[]): string {
  return ['id,name', ...rows, ''].join('\n')
}

/** `id,name id` for the ids from 1 to `count`. */
export function manyPeople(count: number): string {
  return peopleCsv(...Array.from({ length: count }, (_, index) => `${index + 1},name ${index + 1}`))
}
