/** The tests of a full disk share a project that outgrows a limit, its API, and the API's requests. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect } from 'vitest'
import type { ErrorBody, RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, type ProjectFolder } from '../e2e/project-folder.ts'

export const execute = promisify(execFile)

export const LIMIT_KB = 1500
const IDS = `'[{% for row in rows %}{{ row.id }},{% endfor %}]'`
const TRIGGERS = `
  added: { method: PUT, path: /people, batch: { size: 500 }, body: { json: ${IDS} } }`

/** This many people with names of 128 letters that do not compress, and then some with short names. */
export function project(people: number, namesakes = 0): string {
  const random = [0, 1, 2, 3].map(i => `md5((id + ${i})::varchar)`).join(' || ')
  const sql = `select id, case when id < ${people} then ${random} else 'x' end as name from range(${people + namesakes}) people(id)`
  return peopleYaml({ sql, triggers: TRIGGERS })
}

/** The requests of the test that is under way. */
export interface Received {
  readonly url: string
  expectSentOnce(people: number): void
  /**
   * Expects that all rows were sent. A row of unknown outcome was sent again, with the same idempotency key.
   */
  expectSent(people: number): void
}

/** Starts an API for each test of the file. To be called once, at the top of it. */
export function receiving(): Received {
  let api: ScriptedApi
  beforeEach(async () => {
    api = await startScriptedApi()
  })
  afterEach(() => api[Symbol.asyncDispose]())

  /** The ids of all rows that were sent, in order. */
  const idsSent = (): readonly number[] =>
    api.requests.flatMap(({ body }) => {
      const ids: readonly number[] = JSON.parse(body)
      return ids
    })

  return {
    get url() {
      return api.url
    },
    expectSentOnce(people) {
      const ids = idsSent()
      expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: people }, (_, id) => id))
    },
    expectSent(people) {
      expect(new Set(idsSent()).size).toBe(people)
      const keys = new Map<string, Set<string>>()
      for (const { body, headers } of api.requests)
        keys.set(body, (keys.get(body) ?? new Set()).add(headers['idempotency-key'] ?? 'none'))
      for (const [body, used] of keys) expect(used.size, body.slice(0, 40)).toBe(1)
    },
  }
}

export async function runLimited(
  folder: ProjectFolder,
): Promise<{ readonly exitCode: number | null; readonly printed: RunView & ErrorBody }> {
  const { exitCode, stdout } = await finished(folder.startLimited(LIMIT_KB, 'run', SYNC, '--json'))
  const printed: RunView & ErrorBody = JSON.parse(stdout)
  return { exitCode, printed }
}

/** True if the user who runs the tests could do it. */
export function mount(...args: readonly string[]): Promise<boolean> {
  return execute('mount', [...args]).then(
    () => true,
    () => false,
  )
}
