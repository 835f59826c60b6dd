import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { envBoolean, envList, envPort, memoryOf, parseEnvironment, secretOf } from './environment.ts'

const schema = z.object({
  SLUICE_PORT: envPort.default(4747),
  SLUICE_KAFKA_SSL: envBoolean.optional(),
  SLUICE_KAFKA_BROKERS: envList,
  SLUICE_TOKEN: z.string().min(8, 'at least 8 characters').optional(),
})
const secrets = ['SLUICE_TOKEN']

it('gives checked values, with defaults for variables that are not set or empty', () => {
  const env = { SLUICE_KAFKA_BROKERS: 'a:1, b:2', SLUICE_PORT: '', SLUICE_KAFKA_SSL: 'true', OTHER: 'x' }
  expect(parseEnvironment(schema, env, { secrets })).toEqual({
    SLUICE_PORT: 4747,
    SLUICE_KAFKA_SSL: true,
    SLUICE_KAFKA_BROKERS: ['a:1', 'b:2'],
  })
})

it('names every variable that is wrong, what was found and what is wanted, but no secret', () => {
  const env = { SLUICE_PORT: '99999', SLUICE_KAFKA_SSL: 'yes', SLUICE_TOKEN: 'short' }
  let thrown: unknown
  try {
    parseEnvironment(schema, env, { secrets })
  } catch (error) {
    thrown = error
  }
  expect(thrown).toMatchObject({
    code: 'config',
    details: [
      { field: 'SLUICE_PORT', message: 'SLUICE_PORT: "99999" is not right: expected a port from 0 to 65535' },
      { field: 'SLUICE_KAFKA_SSL', message: expect.stringContaining('expected true or false') },
      { field: 'SLUICE_KAFKA_BROKERS', message: 'SLUICE_KAFKA_BROKERS is not set' },
      { field: 'SLUICE_TOKEN', message: 'SLUICE_TOKEN: its value is not right: at least 8 characters' },
    ],
  })
  expect(String(thrown)).not.toContain('short')
})

it('a secret may be in a file, but not in both places', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-env-'))
  const file = join(folder, 'token')
  await writeFile(file, 'from-a-file\n')
  const env = { SLUICE_KAFKA_BROKERS: 'a:1', SLUICE_TOKEN_FILE: file }
  expect(parseEnvironment(schema, env, { secrets }).SLUICE_TOKEN).toBe('from-a-file')
  expect(() => parseEnvironment(schema, { ...env, SLUICE_TOKEN: 'and-here' }, { secrets })).toThrow(
    'both set',
  )
  await rm(folder, { recursive: true })
  expect(() => parseEnvironment(schema, env, { secrets })).toThrow(file)
})

it('a pipe gives its secret as often as it is wanted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-env-'))
  const file = join(folder, 'pipe')
  execFileSync('mkfifo', [file])
  const writing = execFile('sh', ['-c', 'echo "$0" > "$1"', 'through-a-pipe', file])
  const env = { SLUICE_TOKEN_FILE: file }
  expect(secretOf(env, 'SLUICE_TOKEN')).toBe('through-a-pipe')
  expect(secretOf(env, 'SLUICE_TOKEN')).toBe('through-a-pipe')
  await once(writing, 'close')
  await rm(folder, { recursive: true })
})

it('a device is no file with a secret', () => {
  expect(() => secretOf({ SLUICE_TOKEN_FILE: '/dev/zero' }, 'SLUICE_TOKEN')).toThrow('/dev/zero is a device')
})

it('the memory of a process is a size, 512 MB by default', () => {
  expect(memoryOf({})).toBe(512_000_000)
  expect(memoryOf({ SLUICE_MEMORY: '1.5GB' })).toBe(1_500_000_000)
  for (const wrong of ['512', '512MiB', '-1MB', '100MB', 'lots'])
    expect(() => memoryOf({ SLUICE_MEMORY: wrong }), wrong).toThrow('expected a size such as 512MB or 2GB')
})
