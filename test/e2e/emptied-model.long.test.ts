/**
 * A model that had many rows and suddenly gives none, from a CSV file with only its header, and from an empty
 * file. Neither removes a row before a person approves.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const ROWS = 3000
const IDS = `'[{% for row in rows %}{{ row.id | json }},{% endfor %}]'`
const TRIGGERS = `
  added: { method: PUT, path: /people, batch: { size: 500 }, body: { json: ${IDS} } }
  removed: { method: DELETE, path: /people, batch: { size: 500 }, body: { json: ${IDS} } }`

describe('a model of a CSV file that is suddenly empty', () => {
  let api: ScriptedApi
  let project: ProjectFolder

  beforeEach(async () => {
    api = await startScriptedApi()
    project = await projectFolder({
      files: { 'project.yaml': peopleYaml({ triggers: TRIGGERS }), 'people.csv': manyPeople(ROWS) },
      env: { API_URL: api.url },
      here: true,
    })
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0, view: { rowsRead: ROWS } })
  })
  afterEach(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  /** The ids in the bodies of the requests, as JSON values. */
  const idsSent = (wanted: string): readonly unknown[] =>
    api.requests.filter(({ method }) => method === wanted).flatMap(({ body }) => idsIn(body))

  it('is held by the removal guard, until the rows are back or a person approves', async () => {
    await project.write('people.csv', peopleCsv())
    const printed = await project.sluice('run', SYNC)
    expect(printed.exitCode, printed.stderr).toBe(4)
    expect(printed.stdout).toContain('would remove 3,000 of 3,000 rows')
    const [held] = await project.runs()
    expect(held).toMatchObject({
      status: 'held',
      rowsRead: 0,
      held: { removed: ROWS, rows: ROWS, samples: expect.arrayContaining(['1', '10', '100']) },
      triggers: { removed: { detected: ROWS, delivered: 0, requests: 0 } },
    })

    await project.write('people.csv', manyPeople(ROWS + 1))
    const back = await project.run(SYNC)
    expect(back).toMatchObject({
      exitCode: 0,
      view: { triggers: { added: { delivered: 1 }, removed: { detected: 0 } } },
    })
    expect((await project.runs())[1]).toMatchObject({
      id: held?.id,
      status: 'cancelled',
      error: expect.stringContaining(back.view.id),
    })
    expect(idsSent('DELETE')).toEqual([])

    // Without its cache, the detector rebuilds the state and has to find out which types its rows had.
    await rm(join(project.dir, '.sluice/state'), { recursive: true })
    await project.write('people.csv', peopleCsv())
    const again = await project.run(SYNC)
    expect(again).toMatchObject({ exitCode: 4, view: { held: { removed: ROWS + 1 } } })
    const approved = await project.sluice('approve', again.view.id, '--json')
    expect(approved.exitCode, approved.stderr).toBe(0)
    expect(JSON.parse(approved.stdout)).toMatchObject({
      status: 'success',
      triggers: { removed: { delivered: ROWS + 1 } },
    })
    const ids = Array.from({ length: ROWS + 1 }, (_, index) => index + 1)
    expect(new Set(idsSent('DELETE'))).toEqual(new Set(ids))
    expect(idsSent('DELETE')).toHaveLength(ROWS + 1)
    // The state knows that they are gone.
    await project.write('people.csv', manyPeople(2))
    expect(await project.run(SYNC)).toMatchObject({
      exitCode: 0,
      view: { triggers: { added: { delivered: 2 }, removed: { detected: 0 } } },
    })
  })

  it('without even a header fails the run, names the file, and removes nothing', async () => {
    await project.write('people.csv', '')
    const failed = await project.run(SYNC)
    expect(failed.exitCode).toBe(2)
    expect(failed.view).toMatchObject({ status: 'failed', rowsRead: 0 })
    expect(failed.view.error).toContain(`${join(project.dir, 'people.csv')}, which is empty`)
    await project.write('people.csv', manyPeople(ROWS))
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0, view: { rowsRead: ROWS } })
    expect(idsSent('DELETE')).toEqual([])
    expect(idsSent('PUT')).toHaveLength(ROWS)
  })
})

function idsIn(body: string): readonly unknown[] {
  const ids: readonly unknown[] = JSON.parse(body)
  return ids
}
