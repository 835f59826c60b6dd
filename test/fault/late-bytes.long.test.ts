/**
 * A process is killed with a request on the way, and its row leaves the model. The API reads the request
 * late, when the next process is at work: the removal comes behind it (PROTOCOL.md §8, R4).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { LateApi, lateProject, rowsJson } from './late-api.ts'
import { finished, projectFolder } from '../e2e/project-folder.ts'

const SYNC = 'rows'
/** So long after the next process has sent its first request. Without a wait, it would be done by then. */
const READ_AFTER_MS = 2_000

it(
  'the row of a request that a killed process had sent is gone in the end, though the API reads it late',
  { timeout: 120_000 },
  async () => {
    await using api = await LateApi.open()
    await using project = await projectFolder({
      files: { 'project.yaml': lateProject({ timeout: '10s' }), 'rows.json': rowsJson(new Map([['x', 1]])) },
      env: { API_URL: api.url },
    })
    const opened = Promise.withResolvers<void>()
    const read = Promise.withResolvers<void>()
    api.holds = () => {
      api.holds = () => null
      opened.resolve()
      return read.promise
    }
    const first = project.start('run', SYNC)
    await opened.promise
    // The bytes are in the buffers of the kernel a moment after the connection is open.
    await sleep(200)
    first.kill('SIGKILL')
    await finished(first)
    await project.write('rows.json', rowsJson(new Map()))
    const next = project.run(SYNC)
    await api.until(1)
    expect(api.rows).toEqual(new Map([['x', 1]]))
    await sleep(READ_AFTER_MS)
    read.resolve()
    expect(await next, api.stamps.join('\n')).toMatchObject({ exitCode: 0 })
    await api.settled()
    expect(api.arrived, api.stamps.join('\n')).toBe(3)
    expect(api.rows, api.stamps.join('\n')).toEqual(new Map())
  },
)
