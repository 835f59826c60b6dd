/**
 * The commands of two folders run side by side. By itself, each folder would keep limits of its own.
 * `SLUICE_REDIS_URL` names a Redis that keeps the limits of both.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { mostInAnyWindow, startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const redisUrl = inject('redisUrl')
const PEOPLE = 60
const PER_SECOND = 20
const LIMITS = `limits: { rate: { requests: ${PER_SECOND}, per: second }, concurrency: 5 }`

describe.skipIf(redisUrl === null)('two folders with the same destination', () => {
  let api: ScriptedApi
  let folders: ProjectFolder[] = []
  beforeAll(async () => {
    api = await startScriptedApi()
    api.on({}, { delayMs: 5 })
  })
  afterAll(() => api?.[Symbol.asyncDispose]())
  beforeEach(() => {
    folders = []
  })
  afterEach(async () => {
    for (const folder of folders) await folder[Symbol.asyncDispose]()
  })

  const open = async (env: { readonly [name: string]: string }): Promise<ProjectFolder> => {
    const files = { 'project.yaml': peopleYaml({ destination: LIMITS }), 'people.csv': manyPeople(PEOPLE) }
    const folder = await projectFolder({ files, env: { API_URL: api.url, ...env } })
    folders.push(folder)
    return folder
  }
  const runBoth = async (env: { readonly [name: string]: string }): Promise<readonly number[]> => {
    const both = [await open(env), await open(env)]
    const before = api.requests.length
    const ended = await Promise.all(both.map(folder => folder.run(SYNC)))
    for (const { exitCode, view } of ended) expect(exitCode, JSON.stringify(view)).toBe(0)
    return api.requests.slice(before).map(({ arrivedAt }) => arrivedAt)
  }

  it('share the limits of the destination through the Redis that both name', async () => {
    const prefix = `test-${randomBytes(5).toString('hex')}`
    const times = await runBoth({ SLUICE_REDIS_URL: redisUrl ?? '', SLUICE_PREFIX: prefix })
    expect(times).toHaveLength(2 * PEOPLE)
    // Without sharing, twice as many would be sent. On a busy machine, requests that arrive together were not
    // always sent together.
    expect(mostInAnyWindow(times, 2_000)).toBeLessThanOrEqual(2 * PER_SECOND * 1.2)
  })

  it.each([
    ['redis://:s3cret', 2, 'config', 'SLUICE_REDIS_URL'],
    ['redis://127.0.0.1:1', 5, 'unreachable', 'redis://127.0.0.1:1'],
  ])('with %s the command ends with exit code %i', async (url, exitCode, code, word) => {
    const folder = await open({ SLUICE_REDIS_URL: url, SLUICE_STARTUP_TIMEOUT: '1s' })
    const error = await folder.error('run', SYNC)
    expect(error).toMatchObject({ exitCode, code, message: expect.stringContaining(word) })
    expect(error.message).not.toContain('s3cret')
  })
})
