import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createLogger } from '@sluice/runtime/logger'
import { listenLazily, type LoadedApi } from './listen-lazily.ts'
import { socketPathOf } from './socket-path.ts'

const logger = createLogger({ name: 'test', level: 'silent' })
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-socket-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function api(loaded: () => void = () => undefined): () => Promise<LoadedApi> {
  return () => {
    loaded()
    return Promise.resolve({
      listener: (_request, response) => void response.end('hello'),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  }
}

function ask(socketPath: string | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: socketPath ?? '', path: '/', agent: false }, response => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part.toString()))
      response.on('end', () => resolve(text))
    })
    asked.on('error', reject)
    asked.end()
  })
}

it('loads the API with the first connection, and only once', async () => {
  let loads = 0
  const listening = await listenLazily({ dataDir: folder, load: api(() => (loads += 1)), logger })
  const path = socketPathOf(folder)
  expect([loads, statSync(path ?? '').mode & 0o777]).toEqual([0, 0o600])
  expect(await Promise.all([ask(path), ask(path), ask(path)])).toEqual(['hello', 'hello', 'hello'])
  expect(loads).toBe(1)
  await listening[Symbol.asyncDispose]()
  expect(existsSync(path ?? '')).toBe(false)
  await expect(ask(path)).rejects.toMatchObject({ code: 'ENOENT' })
})

it('replaces the socket of a killed process', async () => {
  writeFileSync(join(folder, 'api.sock'), '')
  await using _listening = await listenLazily({ dataDir: folder, load: api(), logger })
  expect(await ask(socketPathOf(folder))).toBe('hello')
})

it('listens elsewhere if the path is too long for a socket, and says where', async () => {
  const deep = join(folder, 'x'.repeat(100))
  mkdirSync(deep)
  expect(socketPathOf(deep)).toBe(null)
  const first = await listenLazily({ dataDir: deep, load: api(), logger })
  const path = socketPathOf(deep) ?? ''
  expect([path.startsWith(deep), await ask(path)]).toEqual([false, 'hello'])
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  await first[Symbol.asyncDispose]()
  expect([existsSync(path), socketPathOf(deep)]).toEqual([false, null])
})

it.skipIf(process.geteuid?.() !== 0)('asks no socket that another user has put in its place', async () => {
  const deep = join(folder, 'x'.repeat(100))
  mkdirSync(deep)
  await using _listening = await listenLazily({ dataDir: deep, load: api(), logger })
  const path = socketPathOf(deep) ?? ''
  for (const taken of [path, join(path, '..')]) {
    chownSync(taken, 65534, 65534)
    expect(socketPathOf(deep)).toBe(null)
    chownSync(taken, 0, 0)
  }
  expect(socketPathOf(deep)).toBe(path)
})

it('removes no file that a folder from elsewhere names as its socket', async () => {
  const deep = join(folder, 'x'.repeat(100))
  const treasure = join(folder, 'treasure')
  for (const path of [deep, treasure]) mkdirSync(path)
  for (const name of ['api.sock', 'letters']) writeFileSync(join(treasure, name), 'dear')
  writeFileSync(join(deep, 'api.sock-path'), join(treasure, 'api.sock'))
  await using _listening = await listenLazily({ dataDir: deep, load: api(), logger })
  expect(await ask(socketPathOf(deep))).toBe('hello')
  expect(['api.sock', 'letters'].map(name => existsSync(join(treasure, name)))).toEqual([true, true])
})

it('gives up a connection if the API cannot be loaded', async () => {
  const load = (): Promise<LoadedApi> => Promise.reject(new Error('a file is missing'))
  await using _listening = await listenLazily({ dataDir: folder, load, logger })
  await expect(ask(socketPathOf(folder))).rejects.toMatchObject({
    code: expect.stringMatching(/ECONNRESET|EPIPE/),
  })
})
