import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { environmentSecrets } from './environment.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-secrets-'))
})
afterEach(() => rm(folder, { recursive: true }))

it('finds a secret under its variable, dashes as underscores', () => {
  const lookUp = environmentSecrets({ SLUICE_SECRET_CRM_PASSWORD: 'p', SLUICE_SECRET_EMPTY: '' })
  expect(lookUp('crm-password')).toBe('p')
  expect(lookUp('empty')).toBe('')
})

it('takes one line break away from the end of a variable, as it does of a file', () => {
  const lookUp = environmentSecrets({
    SLUICE_SECRET_A: 'a\n',
    SLUICE_SECRET_B: 'b\r\n',
    SLUICE_SECRET_C: 'c\n\n',
    SLUICE_SECRET_D: '\nd ',
  })
  expect(['a', 'b', 'c', 'd'].map(lookUp)).toEqual(['a', 'b', 'c\n', '\nd '])
})

it('reads no device, which would never end', () => {
  const lookUp = environmentSecrets({ SLUICE_SECRET_A_FILE: '/dev/zero' })
  expect(() => lookUp('a')).toThrow(
    'SLUICE_SECRET_A_FILE names a file that cannot be read: /dev/zero is a device',
  )
})

it('reads a secret from a file at each use, without its last line break', async () => {
  const file = join(folder, 'key')
  await writeFile(file, 'first\nline\n')
  const lookUp = environmentSecrets({ SLUICE_SECRET_KEY_FILE: file })
  expect(lookUp('key')).toBe('first\nline')
  await writeFile(file, 'rotated\r\n')
  expect(lookUp('key')).toBe('rotated')
})

it.each([
  ['nothing', {}, 'set the environment variable SLUICE_SECRET_API_KEY'],
  ['a file that is not there', { SLUICE_SECRET_API_KEY_FILE: '/no/such/file' }, '/no/such/file'],
  [
    'both',
    { SLUICE_SECRET_API_KEY: 'v4lue', SLUICE_SECRET_API_KEY_FILE: '/x' },
    'SLUICE_SECRET_API_KEY_FILE are both set',
  ],
])('%s is an error that says what to do, and no value', (_what, env, message) => {
  let thrown: unknown
  try {
    environmentSecrets(env)('api-key')
  } catch (error) {
    thrown = error
  }
  expect(thrown).toMatchObject({ code: 'config', message: expect.stringContaining(message) })
  expect(String(thrown)).not.toContain('v4lue')
})

it.each(['', 'a b', '../x', '-a', 'é'])('refuses %j as a name', name => {
  expect(() => environmentSecrets({})(name)).toThrow(expect.objectContaining({ code: 'config' }))
})
