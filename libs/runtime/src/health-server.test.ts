import { get as ask } from 'node:http'
import { expect, it } from 'vitest'
import { startHealthServer } from './health-server.ts'
import { createMetrics } from './metrics.ts'

it('tells health, readiness and figures', async () => {
  const metrics = createMetrics()
  const sent = metrics.counter({ name: 'requests_total', help: 'Requests sent.', labels: ['sync'] })
  sent.add(3, { sync: 'a' })
  const state = { ok: false, detail: 'no connection to Kafka yet' }
  await using server = await startHealthServer({
    host: '127.0.0.1',
    port: 0,
    metrics,
    ready: {
      log: () => state,
      broken: () => {
        if (!state.ok) throw new Error('a check that fails')
        return { ok: true }
      },
    },
  })
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return { status: response.status, text: await response.text() }
  }
  expect(await get('/healthz')).toMatchObject({ status: 200 })
  const notReady = await get('/readyz')
  expect(notReady.status).toBe(503)
  expect(JSON.parse(notReady.text)).toEqual({
    status: 'unavailable',
    checks: {
      log: { ...state, since: expect.any(String) },
      broken: { ok: false, detail: 'a check that fails', since: expect.any(String) },
    },
  })
  type Said = { readonly checks: { readonly log: { readonly since: string } } }
  const sinceOf = ({ text }: { readonly text: string }): string => (JSON.parse(text) as Said).checks.log.since
  expect(sinceOf(await get('/readyz'))).toBe(sinceOf(notReady))
  state.ok = true
  const before = new Date().toISOString()
  const ready = await get('/readyz?verbose')
  expect(ready.status).toBe(200)
  expect(sinceOf(ready) >= before).toBe(true)
  expect((await get('/metrics')).text).toContain('sluice_requests_total{sync="a"} 3')
  expect((await get('/metrics')).text).toContain('sluice_process_cpu_seconds_total')
  expect(await get('/')).toMatchObject({ status: 404 })
})

it('says what to do if another process has the port, or the address is not here', async () => {
  const options = { host: '127.0.0.1', metrics: createMetrics(), ready: {} }
  await using first = await startHealthServer({ ...options, port: 0 })
  await expect(startHealthServer({ ...options, port: first.port })).rejects.toThrow(
    /set SLUICE_PORT to a free one/,
  )
  await expect(startHealthServer({ ...options, host: '192.0.2.1', port: 0 })).rejects.toThrow(
    'Set SLUICE_HOST to an address of this machine',
  )
})

it('says where it cannot listen', async () => {
  const options = { host: '127.0.0.1', metrics: createMetrics(), ready: {} }
  await using first = await startHealthServer({ ...options, port: 0 })
  const { port } = first
  await expect(startHealthServer({ ...options, port })).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
})

it('shows metrics only with the token, if there is one, and health without it', async () => {
  const metricsToken = 'a-token-of-metrics'
  const of = { host: '127.0.0.1', port: 0, metrics: createMetrics(), ready: {}, metricsToken }
  await using server = await startHealthServer(of)
  const status = async (path: string, authorization?: string): Promise<number> => {
    const headers: { [name: string]: string } = authorization === undefined ? {} : { authorization }
    return (await fetch(`http://127.0.0.1:${server.port}${path}`, { headers })).status
  }
  for (const wrong of [
    undefined,
    '',
    metricsToken,
    `bearer ${metricsToken}`,
    'Bearer ',
    `Bearer ${metricsToken}x`,
  ])
    expect(await status('/metrics', wrong)).toBe(401)
  expect(await status('/metrics', `Bearer ${metricsToken}`)).toBe(200)
  expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 200])
})

it('shows no figures to a page whose name was made to lead to this machine', async () => {
  const options = { host: '127.0.0.1', port: 0, metrics: createMetrics(), ready: {} }
  await using server = await startHealthServer(options)
  const status = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      ask({ port: server.port, path: '/metrics', headers: { host } }, response => {
        response.resume()
        resolve(response.statusCode)
      }).on('error', reject)
    })
  expect(await status('evil.example')).toBe(403)
  for (const host of ['localhost:4747', '127.0.0.1', '[::1]:1']) expect(await status(host)).toBe(200)
})
