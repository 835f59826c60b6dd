/** A route asks for roles before it reads a body: over real HTTP, with bodies that never end. */
import { request as send } from 'node:http'
import { describe, expect, it } from 'vitest'
import { ALL_ROLES, type Role } from '@sluice/control/roles'
import { createLogger } from '@sluice/runtime/logger'
import { AskedRuns } from '../asked-runs.ts'
import { createApi } from './create-api.ts'
import { ROUTES, assertMayUse } from './routes.ts'
import { listen } from '../../test/test-listener.ts'

const WRITES = ROUTES.filter(({ scope }) => scope === 'write')
const logger = createLogger({ name: 'test', level: 'silent' })

describe('the roles of a route', () => {
  it('are known for each route that changes anything, and at least one is wanted', () => {
    for (const route of WRITES) {
      expect(() => assertMayUse(route, ALL_ROLES), route.id).not.toThrow()
      expect(() => assertMayUse(route, new Set()), route.id).toThrow(/^You may not .*: that wants the role/)
    }
  })

  it('are all wanted, where a route wants several', () => {
    const previews = { id: 'previewDocuments', scope: 'write' } as const
    expect(() => assertMayUse(previews, new Set<Role>(['edit', 'read']))).not.toThrow()
    for (const role of ['edit', 'read'] as const)
      expect(() => assertMayUse(previews, new Set<Role>([role]))).toThrow('that wants the role')
  })

  it('are those of one of the things that a route does', () => {
    const replays = { id: 'replay', scope: 'write' } as const
    for (const role of ['operate', 'read'] as const)
      expect(() => assertMayUse(replays, new Set<Role>([role]))).not.toThrow()
    expect(() => assertMayUse(replays, new Set<Role>(['run']))).toThrow('`operate`')
  })
})

it('a caller without the role is refused before its body ends', async () => {
  const value = 'runner-token-0123'
  const tokens = { write: null, read: null, named: [{ name: 'r', value, roles: new Set<Role>(['run']) }] }
  const unwanted = (): Promise<never> => Promise.reject(new Error('nobody may come so far'))
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const access = { kind: 'tokens', tokens } as const
  await using api = await createApi({ access, openControl: unwanted, asked, logger, badLoginMs: 1 })
  await using server = await listen(api.listener)
  const unending = (method: string, path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${value}`,
        'content-type': 'application/json',
        'transfer-encoding': 'chunked',
      }
      const request = send({ port: server.port, host: '127.0.0.1', method, path, headers })
      request.on('response', response => {
        resolve(response.statusCode)
        request.destroy()
      })
      request.on('error', reject)
      request.write('{"documents": ["')
    })
  const refused = WRITES.filter(({ id }) => !['run', 'retry', 'sendTest', 'cancel'].includes(id))
  for (const { method, path, id } of refused)
    expect([id, await unending(method, `/api/v1${path.replaceAll(/:\w+/g, 'x')}`)]).toEqual([id, 403])
  expect(refused.length).toBeGreaterThan(10)
})

it('counts the places of a route before it reads bodies', async () => {
  const unwanted = (): Promise<never> => Promise.reject(new Error('no body comes to its end'))
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const access = { kind: 'loopback', host: '127.0.0.1' } as const
  await using api = await createApi({ access, openControl: unwanted, asked, logger })
  let heard = 0
  await using server = await listen((request, response) => {
    api.listener(request, response)
    heard += 1
  })
  const headers = { 'content-type': 'application/json' }
  const place = {
    ...{ port: server.port, host: '127.0.0.1', method: 'POST' },
    path: '/api/v1/apply',
    headers,
  }
  const unending = [1, 2].map(() => {
    const request = send(place)
    request.on('error', () => undefined)
    request.write('{"resources": ["')
    return request
  })
  await expect.poll(() => heard).toBe(2)
  const third = await fetch(`http://127.0.0.1:${server.port}/api/v1/apply`, {
    method: 'POST',
    headers,
    body: '{}',
  })
  expect(third.status).toBe(429)
  for (const request of unending) request.destroy()
  const ask = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${server.port}/api/v1/apply`, {
      method: 'POST',
      headers,
      body: '{}',
    })
    return answer.status
  }
  await expect.poll(ask).not.toBe(429)
})
