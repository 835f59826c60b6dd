import { afterEach, beforeEach, expect, it, vi } from 'vitest'

// Another file of the same process may have loaded the module.
beforeEach(() => vi.resetModules())
afterEach(() => {
  vi.doUnmock('node:module')
  vi.resetModules()
})

it('refuses another version of kafkajs before it loads any of its files, and names both', async () => {
  const loaded: string[] = []
  vi.doMock('node:module', () => ({
    createRequire: () => (id: string) => {
      loaded.push(id)
      return { version: '3.0.0' }
    },
  }))
  await expect(import('./internals.ts')).rejects.toMatchObject({
    code: 'config',
    message: expect.stringMatching(/kafkajs 3\.0\.0 is installed.*needs kafkajs 2\.2\.4.*npm ci/),
  })
  expect(loaded).toEqual(['kafkajs/package.json'])
})
