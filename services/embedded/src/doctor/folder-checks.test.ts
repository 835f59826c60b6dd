import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { folderChecks } from './folder-checks.ts'

const NOBODY = 65_534

let dir = ''
let dataDir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-doctor-'))
  dataDir = join(dir, '.sluice')
  await mkdir(dataDir, { mode: 0o700 })
  const log = createSqliteLog({ file: join(dataDir, 'log.db') })
  const { signal } = new AbortController()
  const settings = { partitions: 1, cleanup: 'compact', maxRecordBytes: 1000 } as const
  await log.ensureTopics([{ topic: 'runs', ...settings }], { signal })
  await log[Symbol.asyncDispose]()
  await createLocalRateLimit({ file: join(dataDir, 'limits.db') })[Symbol.asyncDispose]()
  await writeFile(join(dataDir, 'under-way'), 'what an earlier version wrote', { mode: 0o600 })
  await writeFile(join(dataDir, 'key'), randomBytes(32).toString('base64'), { mode: 0o600 })
  for (const name of await readdir(dataDir)) await chmod(join(dataDir, name), 0o600)
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function problems(): Promise<readonly string[]> {
  const checks = await folderChecks(dir, dataDir, { socket: null, env: {} })
  const wrong = checks.filter(({ status, check }) => status !== 'ok' && check !== 'disk')
  return wrong.map(({ found, advice }) => `${found.replaceAll(dataDir, '')} → ${advice ?? ''}`)
}

async function asTheyAre(): Promise<readonly string[]> {
  const names = await readdir(dataDir)
  return await Promise.all(
    names.map(async name => {
      const path = join(dataDir, name)
      const isFile = (await stat(path)).isFile()
      const content = isFile ? await readFile(path) : ''
      return [name, createHash('sha256').update(content).digest('hex')].join(' ')
    }),
  )
}

describe('the files of a folder', () => {
  it('are all right where a run has left them', async () => {
    const before = await asTheyAre()
    expect(await problems()).toEqual([])
    expect(await asTheyAre()).toEqual(before)
  })

  it('are not looked into by the process that works with them', async () => {
    await writeFile(join(dataDir, 'log.db'), randomBytes(10_000))
    const checks = await folderChecks(dir, dataDir, null)
    expect(checks.at(-1)).toMatchObject({ status: 'ok', found: 'this process works in the folder' })
    expect(checks.filter(({ status }) => status === 'problem')).toEqual([])
  })

  it.each([
    ['log.db', /^\/log.db cannot be used: file is not a database → put a copy of it back, or remove it/],
    ['log.db-lock', /^\/log.db-lock cannot be used: file is not a database → remove it while no process/],
    ['limits.db', /^\/limits.db cannot be used: file is not a database → remove it/],
    ['key', /^\/key cannot be used: .*expected base64 of 32 bytes.* → put a copy of it back/],
  ])('are named if %s was overwritten', async (name, message) => {
    await writeFile(join(dataDir, name), randomBytes(10_000))
    const before = await asTheyAre()
    expect(await problems()).toEqual([expect.stringMatching(message)])
    expect(await asTheyAre()).toEqual(before)
  })

  it('are named if a part of the log was overwritten', async () => {
    const file = join(dataDir, 'log.db')
    const content = await readFile(file)
    await writeFile(file, content.fill(randomBytes(4096), 8192))
    expect(await problems()).toEqual([expect.stringMatching(/^\/log.db cannot be used: it is damaged/)])
  })

  it.each(['log.db', 'log.db-lock', 'limits.db', 'under-way', 'key'])(
    'are named if %s is a folder',
    async name => {
      await rm(join(dataDir, name))
      await mkdir(join(dataDir, name), { mode: 0o700 })
      expect(await problems()).toEqual([
        expect.stringContaining(`/${name} cannot be used: it is a folder; wanted a file`),
      ])
    },
  )

  it('are named if the folder is a file', async () => {
    await rm(dataDir, { recursive: true })
    await writeFile(dataDir, '', { mode: 0o600 })
    expect(await problems()).toEqual([expect.stringContaining('it is a file; wanted a folder')])
  })

  it('are named if this process may not use them', async () => {
    await chmod(dir, 0o755)
    // Root may do everything. So a process of its own gives that up once it has its modules.
    const script = `import { folderChecks } from ${JSON.stringify(new URL('./folder-checks.ts', import.meta.url).href)}
      if (process.getuid() === 0) {
        process.setgroups([])
        process.setgid(${NOBODY})
        process.setuid(${NOBODY})
      }
      const checks = await folderChecks(${JSON.stringify(dir)}, ${JSON.stringify(dataDir)}, { socket: null, env: {} })
      console.log(checks.filter(({ check }) => check === 'state').map(({ found }) => found).join(' | '))`
    const found = (): string =>
      spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).stdout
    await chmod(dataDir, 0o000)
    expect(found()).toMatch(/^\S+\.sluice cannot be used: EACCES: permission denied/)
    await chmod(dataDir, 0o777)
    for (const name of ['log.db', 'key']) await chmod(join(dataDir, name), 0o000)
    expect(found()).toMatch(/log\.db cannot be used: EACCES: permission denied.* \| .*key cannot be used/)
    await rm(dataDir, { recursive: true })
    expect(found()).toMatch(/sluice-doctor-\w+ cannot be used: EACCES: permission denied/)
    await chmod(dir, 0o777)
    expect(found()).toBe('nothing has run here yet\n')
  })
})
