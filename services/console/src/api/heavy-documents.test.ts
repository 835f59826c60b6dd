/** Documents of permitted sizes that take seconds to check, over real HTTP: the server answers meanwhile. */
import { expect, it } from 'vitest'
import { documentsView } from '@sluice/contracts/api/resources'
import { SluiceError } from '@sluice/contracts/errors'
import type { Catalog } from '@sluice/control/catalog'
import { ProjectControl } from '@sluice/control/project-control'
import { documentsApart } from '@sluice/control/resources/apart/documents-apart'
import { startHealthServer } from '@sluice/runtime/health-server'
import { createLogger } from '@sluice/runtime/logger'
import { createMetrics } from '@sluice/runtime/metrics'
import { AskedRuns } from '../asked-runs.ts'
import { createApi } from './create-api.ts'

/** Half as many pieces as a file may have. */
const PIECES = 40_000
const heavy = `kind: destination\nname: heavy\nheaders:\n${Array.from({ length: PIECES }, (_, n) => `  h${n}: v\n`).join('')}`
const logger = createLogger({ name: 'test', level: 'silent' })
const nothing = (): Promise<never> => Promise.reject(new SluiceError('unreachable', 'there is nothing'))
const catalog: Catalog = { syncs: nothing, definition: nothing, resources: nothing, publish: nothing }

it('a heavy preview and heavy checks hold up no other answer, and end', { timeout: 60_000 }, async () => {
  const control = new ProjectControl(catalog, {
    ...{ hasHistory: false, open: nothing, assertSecrets: nothing, openNextRun: nothing },
    ...{ openNoticeSenders: nothing, documents: documentsApart() },
  })
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(control)
  await using api = await createApi({
    access: { kind: 'loopback', host: '127.0.0.1' },
    ...{ openControl, asked, logger },
  })
  const health = { host: '127.0.0.1', port: 0, metrics: createMetrics(), ready: {} }
  await using server = await startHealthServer({ ...health, elsewhere: () => api.listener })
  const url = `http://127.0.0.1:${server.port}`

  let underWay = 2
  const post = async (path: string, body: object): Promise<{ status: number; value: unknown }> => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    const value: unknown = await response.json()
    underWay -= 1
    return { status: response.status, value }
  }
  const documents = [{ yaml: heavy }]
  const checks = post('/validate', { documents })
  const previews = post('/preview', { sync: 's', documents })

  let answers = 0
  while (underWay === 2) {
    const response = await fetch(`${url}/healthz`)
    await response.text()
    if (response.status === 200) answers += 1
  }
  const [checked, previewed] = await Promise.all([checks, previews])
  expect(checked.status).toBe(200)
  expect(documentsView.parse(checked.value)).toMatchObject({ ok: false })
  expect(previewed.status).toBe(422)
  // During a check the thread would answer nobody.
  expect(answers).toBeGreaterThan(20)
})
