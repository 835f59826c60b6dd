/**
 * The sample project. Its rows are part of the query itself, so it reads no file. It sends to its own server,
 * unless the caller names another URL.
 */
import type { SampleView } from '@sluice/contracts/api/operating'
import { SAMPLE_SYNC } from '@sluice/contracts/api/operations'

/** The path below `/api/v1` to which the sample sends. */
export const RECEIVER_PATH = '/sample/receiver'

const SQL = `-- Change a row or take one away, and run the sync again.
select * from (values
  (1, 'Ada', 'ada@example.com'),
  (2, 'Alan', 'alan@example.com'),
  (3, 'Grace', 'grace@example.com')
) as customers(id, name, email)`

const indented = (text: string): string => text.replaceAll('\n', '\n  ')

/** The documents of the sample, in an order in which each one follows those that it refers to. */
export function sampleDocuments(sendsTo: string): SampleView['documents'] {
  const texts = [
    ['source', 'sample-rows', 'type: duckdb\npath: .\n'],
    ['model', 'sample-customers', `source: sample-rows\nsql: |-\n  ${indented(SQL)}\nprimaryKey: id\n`],
    [
      'destination',
      'sample-receiver',
      `baseUrl: ${JSON.stringify(sendsTo)}\nlimits:\n  rate: { requests: 10, per: second }\n  concurrency: 2\n`,
    ],
    ['sync', SAMPLE_SYNC, SYNC],
  ] as const
  return texts.map(([kind, name, fields]) => ({
    kind,
    name,
    yaml: `kind: ${kind}\nname: ${name}\n${fields}`,
  }))
}

const SYNC = `model: sample-customers
destination: sample-receiver
triggers:
  added:
    method: POST
    path: /customers
    body:
      json: |
        {"id": {{ row.id }}, "name": {{ row.name | json }}, "email": {{ row.email | json }}}
  changed:
    method: PUT
    path: /customers/{{ row.id }}
    body:
      json: |
        {"name": {{ row.name | json }}, "email": {{ row.email | json }}}
  removed:
    method: DELETE
    path: /customers/{{ row.id }}
`
