import { Agent, request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { forkScriptedApi, type ForkedApi } from './scripted-api-fork.ts'
import { mostInAnyWindow, startScriptedApi, type ScriptedApi } from './scripted-api.ts'

const agent = new Agent({ keepAlive: true, maxSockets: 1 })
afterEach(() => agent.destroy())

function post(api: ScriptedApi, path: string, body = ''): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${api.url}${path}`, { method: 'POST', agent }, incoming => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text += chunk))
      incoming.on('error', reject)
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Rules travel to a forked API; this waits until they have arrived. */
async function settled(api: ScriptedApi | ForkedApi): Promise<void> {
  if ('settled' in api) await api.settled()
}

describe.each([
  ['in process', () => startScriptedApi()],
  ['forked', () => forkScriptedApi()],
])('the scripted API %s', (_name, start) => {
  it('answers 200 if nothing is scripted, and records the requests that it saw', async () => {
    await using api = await start()
    expect(await post(api, '/a?b=1', 'hällo')).toEqual({ status: 200, text: '{}' })
    await post(api, '/second')
    await api.waitFor(2)
    expect(api.requests[0]).toMatchObject({
      method: 'POST',
      url: '/a?b=1',
      body: 'hällo',
      connection: 1,
      nthOnConnection: 1,
    })
    expect(api.requests[1]).toMatchObject({ url: '/second', connection: 1, nthOnConnection: 2 })
  })

  it('plays the newest rule that matches, as often as it says', async () => {
    await using api = await start()
    api.on({ url: '/a' }, { status: 500 })
    api.on({ url: '/a', body: 'x' }, { status: 418, body: 'tea' }, { times: 1 })
    await settled(api)
    expect(await post(api, '/a', 'xyz')).toEqual({ status: 418, text: 'tea' })
    expect((await post(api, '/a', 'xyz')).status).toBe(500)
    expect((await post(api, '/b')).status).toBe(200)
  })

  it('resets a connection on its second request', async () => {
    await using api = await start()
    api.on({ reused: true }, { fault: 'reset-after-reading' })
    await settled(api)
    expect((await post(api, '/1')).status).toBe(200)
    await expect(post(api, '/2')).rejects.toThrow(/ECONNRESET|socket hang up/)
    await api.waitFor(2)
    expect(api.requests.map(seen => seen.connection)).toEqual([1, 1])
  })

  it.each(['reset-before-reading', 'close-mid-answer'] as const)('plays %s', async fault => {
    await using api = await start()
    api.on({}, { fault }, { times: 1 })
    await settled(api)
    await expect(post(api, '/', 'body')).rejects.toThrow(/ECONNRESET|socket hang up|aborted/)
    expect((await post(api, '/')).status).toBe(200)
  })
})

it('counts what is in flight and holds it until the test lets go', async () => {
  await using api = await startScriptedApi()
  const gate = Promise.withResolvers<void>()
  api.on({}, async () => {
    await gate.promise
    return {}
  })
  const free = new Agent({ keepAlive: true })
  const answers = Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise((resolve, reject) =>
          request(api.url, { agent: free }, incoming => incoming.resume().on('end', resolve))
            .on('error', reject)
            .end(),
        ),
    ),
  )
  await api.waitFor(3)
  expect(api.figures).toMatchObject({ inFlight: 3, mostInFlight: 3, openConnections: 3 })
  gate.resolve()
  await answers
  free.destroy()
})

it('a forked API that is killed fails the calls that wait for it', async () => {
  const api = await forkScriptedApi()
  const settled = api.settled()
  await settled
  await api.kill()
  await expect(api.settled()).rejects.toThrow('gone')
})

it('a wait for requests can be aborted', async () => {
  await using api = await startScriptedApi()
  const abort = new AbortController()
  const waiting = api.waitFor(1, { signal: abort.signal })
  abort.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})

it('counts the fullest window wherever it starts', () => {
  expect(mostInAnyWindow([0, 999, 1000, 1001, 5000], 1000)).toBe(3)
  expect(mostInAnyWindow([0, 1000, 2000], 1000)).toBe(1)
  expect(mostInAnyWindow([], 1000)).toBe(0)
})
