/**
 * The author of a project names a folder for a source, and a process of somebody else reads it. Where the
 * operator of that process names no folder, none is read.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { problem } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed } from './distributed.ts'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder } from './project-folder.ts'

const TOKEN = 'a-token-that-writes'

let api: ScriptedApi
/** A folder beside the project. */
let elsewhere = ''
beforeAll(async () => {
  api = await startScriptedApi()
  elsewhere = mkdtempSync(join(tmpdir(), 'sluice-elsewhere-'))
  writeFileSync(join(elsewhere, 'people.csv'), peopleCsv('1,Ann'))
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
  rmSync(elsewhere, { recursive: true })
})

const files = (): { [name: string]: string } => ({
  'sluice.yaml': peopleYaml({}).replace(/path: \.$/m, `path: ${elsewhere}`),
  'people.csv': peopleCsv('1,Ann'),
})

async function previewOf(url: string): Promise<{ readonly status: number; readonly detail: string }> {
  const headers = { authorization: `Bearer ${TOKEN}` }
  const response = await fetch(`${url}/api/v1/preview?sync=${SYNC}`, { headers })
  const answer: unknown = await response.json()
  return { status: response.status, detail: response.ok ? '' : problem.parse(answer).detail }
}

describe.skipIf(realServices() === null)('services whose operator names no folder', () => {
  it('read no file in runs and previews, and say which variable is missing', async () => {
    await using services = await startDistributed({ env: { SLUICE_SOURCE_ROOTS: '', API_URL: api.url } })
    const env = { ...services.env, API_URL: api.url }
    await using project = await projectFolder({ files: files(), env })
    const { exitCode, view } = await project.run(SYNC)
    expect([exitCode, view.error]).toEqual([2, expect.stringContaining('SLUICE_SOURCE_ROOTS is not set')])
    const { url } = await services.add('console', { SLUICE_TOKEN: TOKEN })
    expect(await previewOf(url)).toEqual({
      status: 422,
      detail: expect.stringContaining('SLUICE_SOURCE_ROOTS is not set'),
    })
    const { url: allowed } = await services.add('console', {
      SLUICE_TOKEN: TOKEN,
      SLUICE_SOURCE_ROOTS: elsewhere,
    })
    expect((await previewOf(allowed)).status).toBe(200)
    expect(api.requests).toEqual([])
  })
})

describe('sluice up with a token', () => {
  it('reads files of its project, and no others', async () => {
    const env = { API_URL: api.url, SLUICE_TOKEN: TOKEN, SLUICE_PORT: '0' }
    await using project = await projectFolder({ files: files(), env })
    const outside = await served(project.start('up', '--json'))
    expect(await previewOf(outside.url)).toEqual({
      status: 422,
      detail: expect.stringContaining('SLUICE_SOURCE_ROOTS'),
    })
    await outside.end()
    await project.write('sluice.yaml', peopleYaml({}))
    const inside = await served(project.start('up', '--json'))
    expect((await previewOf(inside.url)).status).toBe(200)
    await inside.end()
  })
})

interface Served {
  readonly url: string
  readonly end: () => Promise<void>
}

async function served(
  child: ReturnType<Awaited<ReturnType<typeof projectFolder>>['start']>,
): Promise<Served> {
  const { promise, resolve } = Promise.withResolvers<string>()
  child.stdout?.once('data', (text: Buffer) => resolve(text.toString()))
  const { url }: { url: string } = JSON.parse(await promise)
  return {
    url,
    end: async () => {
      const ended = new Promise(done => child.once('close', done))
      child.kill('SIGTERM')
      await ended
    },
  }
}
