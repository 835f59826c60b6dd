/**
 * Rows of megabytes. Rows that fit are sent, whatever rows are beside them, and rows that do not fit are
 * rejected.
 */
import { describe, expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { distributedProfiles } from './profiles.ts'

const PROJECT = `
kind: source
name: files
type: duckdb
path: .
---
kind: model
name: texts
source: files
sql: select id, repeat(letter, bytes) as text from 'rows.csv'
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: texts
model: texts
destination: api
timeout: 60s
partitions: 1
triggers:
  added:
    batch: { size: 100 }
    method: POST
    path: /texts
    body: { json: '[{% for row in rows %}{"id":{{ row.id }},"text":{{ row.text | json }}},{% endfor %}]' }
  changed: added
`

/** Rows of 200 kB. Their requests together are larger than one append may be. */
const SMALL = 60

/** A batch that makes many requests, and rows on both sides of each limit: 8 MB of a row, and of a body. */
function csv(letter: string): string {
  const rows = Array.from({ length: SMALL }, (_, id) => `${id},200000,${letter}`)
  const large = [
    `200,7900000,${letter}`,
    '201,5000000,""""',
    `202,8000001,${letter}`,
    `203,30000000,${letter}`,
  ]
  return ['id,bytes,letter', ...rows, ...large, ''].join('\n')
}

describe.for(distributedProfiles())('rows of megabytes, $name', profile => {
  it('are sent if they fit, and rejected with the reason if not', async ({ onTestFailed }) => {
    await using api = await startScriptedApi()
    await using opened = await profile.open({
      files: { 'project.yaml': PROJECT, 'rows.csv': csv('a') },
      env: { API_URL: api.url },
    })
    onTestFailed(() => void process.stderr.write(opened.logs()))
    const { project } = opened
    const tooLarge = {
      reason: expect.stringMatching(/^the row has about \d+ bytes, and the most is 8000000$/),
    }
    for (const [letter, op] of [
      ['a', 'added'],
      ['b', 'changed'],
    ] as const) {
      api.reset()
      await project.write('rows.csv', csv(letter))
      const { exitCode, view } = await project.run('texts')
      expect(exitCode, JSON.stringify(view)).toBe(3)
      expect(view).toMatchObject({
        status: 'warning',
        rowsRead: SMALL + 4,
        rowsInvalid: 2,
        invalidRows: [
          { key: '202', ...tooLarge },
          { key: '203', ...tooLarge },
        ],
      })
      expect(view.triggers[op]).toMatchObject({ delivered: SMALL + 1, unknown: 0, unsent: 0 })
      const rows = api.requests.flatMap(({ body }) => {
        const sent: { id: number; text: string }[] = JSON.parse(body)
        return sent
      })
      expect(rows.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual([
        ...Array.from({ length: SMALL }, (_, id) => id),
        200,
      ])
      expect(new Set(rows.map(({ text }) => text[0]))).toEqual(new Set([letter]))
      expect(await project.failed('texts')).toMatchObject([
        {
          key: '201',
          op: 'added',
          error: expect.stringMatching(/^the body has \d+ bytes; at most 8000000 are sent$/),
        },
      ])
    }
  })
})
