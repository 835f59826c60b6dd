/**
 * Services that are not at work, one after the other, as the command and the API show it. A run that waits
 * for one says so, and goes on once it is there.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed, type Distributed } from './distributed.ts'
import { manyPeople, peopleYaml, SYNC } from './people-project.ts'
import { finished, projectFolder, type ProjectFolder } from './project-folder.ts'

/** It takes two seconds on a machine that has nothing else to do. */
const TOLD_WITHIN_MS = 15_000

describe.skipIf(realServices() === null)('a run whose services are not at work', { timeout: 180_000 }, () => {
  let api: ScriptedApi
  let services: Distributed
  let project: ProjectFolder

  beforeAll(async () => {
    api = await startScriptedApi()
    services = await startDistributed({ counts: { 'change-detector': 0, renderer: 0, delivery: 0 } })
    const files = { 'project.yaml': peopleYaml(), 'people.csv': manyPeople(3) }
    project = await projectFolder({ files, env: { API_URL: api.url, ...services.env } })
  })
  afterAll(async () => {
    await project[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  /** Resolves once the text is there. */
  async function shown(text: () => string, wanted: string, withinMs: number): Promise<void> {
    await expect.poll(text, { timeout: withinMs, interval: 50 }).toContain(wanted)
  }

  it('says which one it waits for, in the command, and ends once all are there', async ({ onTestFailed }) => {
    let stderr = ''
    let stdout = ''
    const child = project.start('run', SYNC, '--json')
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    const ended = new Promise(resolve => child.once('close', resolve))
    onTestFailed(() => void process.stderr.write(`${stderr}\n${services.logs()}`))
    // The command has to start, and to make the shared topics, before it can ask.
    await shown(() => stderr, 'no change-detector is at work', 90_000)
    expect(stderr).toMatch(/^run \w+ of people\n/)

    await services.add('change-detector')
    const begun = services.of('change-detector')[0]?.logged(line => line.msg === 'the run has begun')
    await begun
    await shown(() => stderr, 'no renderer is at work', TOLD_WITHIN_MS)
    await services.add('renderer')
    await shown(() => stderr, 'no delivery is at work', TOLD_WITHIN_MS)
    await services.add('delivery')
    await ended
    expect(JSON.parse(stdout)).toMatchObject({ status: 'success', triggers: { added: { delivered: 3 } } })
    expect(JSON.parse(stdout)).not.toHaveProperty('waiting')
  })

  it('ends the command within 10 s of SIGTERM, or of the end of its --timeout', async () => {
    for (const process of services.processes) await process.stop()
    const child = project.start('run', SYNC)
    const ended = finished(child)
    let told = ''
    child.stderr?.on('data', (part: Buffer) => (told += part.toString()))
    await shown(() => told, 'no change-detector is at work', 90_000)
    const from = Date.now()
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({
      exitCode: 130,
      stderr: expect.stringContaining('has not ended within 10 s') as string,
    })
    expect(Date.now() - from).toBeLessThan(11_500)
    expect(await project.sluice('run', SYNC, '--timeout', '1s')).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('`--timeout 1s` has passed') as string,
    })
    for (const process of services.processes) if (!process.running) await process.start()
  })

  it('is there in the API before a detector has taken it up, with what it waits for and since when', async () => {
    for (const process of services.processes) await process.stop()
    const server = await services.add('console')
    const ask = async <T>(path: string, init: RequestInit = {}): Promise<T> => {
      const answer = await fetch(`${server.url}/api/v1${path}`, init)
      expect(answer.ok, await answer.clone().text()).toBe(true)
      const body: T = JSON.parse(await answer.text())
      return body
    }
    const from = Date.now()
    const headers = { 'content-type': 'application/json' }
    const asked = await ask<RunView>(`/syncs/${SYNC}/runs`, { method: 'POST', headers, body: '{}' })
    expect(Date.now() - from).toBeLessThan(TOLD_WITHIN_MS)
    expect(asked).toMatchObject({ status: 'queued', waiting: [{ kind: 'detector', until: null }] })
    const since = Date.parse(asked.waiting?.[0]?.since ?? '')
    expect(since).toBeGreaterThanOrEqual(from)
    expect(await ask<RunView>(`/runs/${asked.id}`)).toMatchObject({
      ...{ id: asked.id, status: 'queued', waiting: asked.waiting },
    })
    expect(await ask(`/syncs`)).toMatchObject({
      syncs: [{ state: 'queued', waiting: [{ kind: 'detector' }], lastRun: { id: asked.id } }],
    })
    for (const process of services.processes) if (!process.running) await process.start()
    const events = await fetch(`${server.url}/api/v1/runs/${asked.id}/events`)
    const states = await events.text()
    expect(states).toContain('"status":"success"')
  })
})
