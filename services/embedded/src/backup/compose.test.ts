/** A folder keeps one whole log, with its keys, at whatever step of a restore the process is killed. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  type PathLike,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { backUp, restore } from './compose.ts'

const steps = vi.hoisted((): { before: () => void } => ({ before: () => undefined }))
vi.mock(import('node:fs'), async importOriginal => {
  const actual = await importOriginal()
  /** Removing what is not there is no step. */
  const noted = <Rest extends readonly unknown[], Result>(
    call: (path: PathLike, ...rest: Rest) => Result,
  ) => {
    return (path: PathLike, ...rest: Rest): Result => {
      if (actual.existsSync(path)) steps.before()
      return call(path, ...rest)
    }
  }
  const { copyFileSync: copy, linkSync, renameSync, rmSync: remove } = actual
  return {
    ...actual,
    ...{ copyFileSync: noted(copy), linkSync: noted(linkSync) },
    ...{ renameSync: noted(renameSync), rmSync: noted(remove) },
  }
})

const TOPIC = { topic: 't', partition: 0 }
const { signal } = new AbortController()
const tell = vi.fn<(notice: string) => void>()

let root = ''
let dataDir = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-backup-'))
  dataDir = join(root, '.sluice')
  mkdirSync(dataDir)
})
afterEach(() => {
  steps.before = () => undefined
  tell.mockReset()
  rmSync(root, { recursive: true, force: true })
})

/** Appends a record, and leaves the folder as a process that is killed now would leave it. */
async function appendAndDie(value: string): Promise<void> {
  const [file, killed] = [join(dataDir, 'log.db'), join(root, 'killed')]
  {
    await using log = createSqliteLog({ file })
    await log.ensureTopics([{ topic: 't', partitions: 1, cleanup: 'delete' }], { signal })
    await log.append(TOPIC, [{ key: Buffer.from('k'), value: Buffer.from(value) }], { signal })
    mkdirSync(killed)
    for (const end of ['', '-wal', '-shm']) copyFileSync(`${file}${end}`, join(killed, `log.db${end}`))
  }
  cpSync(killed, dataDir, { recursive: true })
  rmSync(killed, { recursive: true })
}

async function valuesIn(file: string): Promise<readonly string[]> {
  await using log = createSqliteLog({ file, readOnly: true })
  const values: string[] = []
  const { low, end } = await log.offsets(TOPIC, { signal })
  for await (const { records } of log.read(TOPIC, { from: low, to: end, signal }))
    for (const { value } of records) values.push(Buffer.from(value ?? []).toString())
  return values
}

describe('a backup that is restored', () => {
  it('keeps all of the log that it replaces, also what a killed process left in its journal', async () => {
    await appendAndDie('old')
    await backUp(dataDir, { to: join(root, 'copy'), withKey: false })
    await appendAndDie('new')
    expect(statSync(join(dataDir, 'log.db-wal')).size).toBeGreaterThan(0)
    await restore(dataDir, { from: join(root, 'copy'), replaces: true, tell })
    expect(await valuesIn(join(dataDir, 'log.db'))).toEqual(['old'])
    expect(await valuesIn(join(dataDir, 'log.db.replaced'))).toEqual(['old', 'new'])
    await restore(dataDir, { from: join(root, 'copy'), replaces: true, tell })
    expect(await valuesIn(join(dataDir, 'log.db.replaced'))).toEqual(['old', 'new'])
    expect(tell).toHaveBeenLastCalledWith(expect.stringContaining('log.db.replaced-2. Remove it'))
  })

  it('leaves one log or the other, whole, and keys for both, whenever the process is killed', async () => {
    const [first, second] = [EncryptionKeys.generate(), EncryptionKeys.generate()]
    await appendAndDie('old')
    writeFileSync(join(dataDir, 'key'), `${first}\n`)
    writeFileSync(join(dataDir, 'project'), 'shop\n')
    await backUp(dataDir, { to: join(root, 'copy'), withKey: true })
    await appendAndDie('new')
    writeFileSync(join(dataDir, 'key'), `${second}\n`)
    mkdirSync(join(dataDir, 'state'))
    writeFileSync(join(dataDir, 'state/people.1.duckdb'), 'a cache of the new log')
    let taken = 0
    steps.before = () => {
      const { before } = steps
      steps.before = () => undefined
      cpSync(dataDir, join(root, `step-${taken}`), { recursive: true })
      taken += 1
      steps.before = before
    }
    await restore(dataDir, { from: join(root, 'copy'), replaces: true, tell })
    steps.before = () => undefined
    expect(taken).toBeGreaterThan(8)
    for (let step = 0; step < taken; step += 1) {
      const dir = join(root, `step-${step}`)
      const values = await valuesIn(join(dir, 'log.db'))
      const { ids } = EncryptionKeys.of(readFileSync(join(dir, 'key'), 'utf8'), 'key')
      const [ofOld, ofNew] = [first, second].map(key => EncryptionKeys.of(key, 'key').ids[0])
      expect(values[0], `step ${step}`).toBe('old')
      if (values.length === 2) expect(ids, `step ${step}`).toContain(ofNew)
      else {
        expect(ids, `step ${step}`).toEqual([ofOld, ofNew])
        expect(existsSync(join(dir, 'state')), `step ${step}`).toBe(false)
        expect(await valuesIn(join(dir, 'log.db.replaced'))).toEqual(['old', 'new'])
      }
      await restore(dir, { from: join(root, 'copy'), replaces: true, tell })
      expect(await valuesIn(join(dir, 'log.db'))).toEqual(['old'])
      expect(readFileSync(join(dir, 'project'), 'utf8')).toBe('shop\n')
    }
  })

  it.each([
    ['another kind of file', 'no database'.repeat(1000)],
    ['an empty file', ''],
  ])('takes the place of a log that is %s, which stays', async (_, content) => {
    await appendAndDie('old')
    await backUp(dataDir, { to: join(root, 'copy'), withKey: false })
    rmSync(join(dataDir, 'log.db-wal'))
    writeFileSync(join(dataDir, 'log.db'), content)
    await restore(dataDir, { from: join(root, 'copy'), replaces: true, tell })
    expect(await valuesIn(join(dataDir, 'log.db'))).toEqual(['old'])
    expect(readFileSync(join(dataDir, 'log.db.replaced'), 'utf8')).toBe(content)
  })

  it('is for its user alone, without a word about it, and leaves nothing else', async () => {
    await appendAndDie('old')
    await backUp(dataDir, { to: join(root, 'copy'), withKey: false })
    chmodSync(join(root, 'copy/log.db'), 0o644)
    const other = join(root, 'other')
    await restore(other, { from: join(root, 'copy'), replaces: false, tell })
    expect(tell).not.toHaveBeenCalled()
    expect(readdirSync(other).sort()).toEqual(['.gitignore', 'log.db', 'log.db-lock', 'state', 'tmp'])
    expect(statSync(join(other, 'log.db')).mode & 0o777).toBe(0o600)
  })
})

it('a log that is damaged is not backed up, and that is no bug of Sluice', async () => {
  writeFileSync(join(dataDir, 'log.db'), 'no database'.repeat(1000))
  const backedUp = backUp(dataDir, { to: join(root, 'copy'), withKey: false })
  await expect(backedUp).rejects.toMatchObject({ code: 'corrupt' })
  await expect(backedUp).rejects.toThrow(join(dataDir, 'log.db'))
})

it('a backup whose log is gone is refused, and that is no bug of Sluice', async () => {
  await appendAndDie('old')
  await backUp(dataDir, { to: join(root, 'copy'), withKey: false })
  rmSync(join(root, 'copy/log.db'))
  const restored = restore(dataDir, { from: join(root, 'copy'), replaces: true, tell })
  await expect(restored).rejects.toMatchObject({ code: 'config' })
})
