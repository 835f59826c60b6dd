import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

const NOBODY = 65_534
const MODULE = JSON.stringify(new URL('./state-folder.ts', import.meta.url).href)

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-state-'))
  await chmod(dir, 0o755)
})
afterEach(async () => {
  await chmod(join(dir, '.sluice'), 0o700)
  await rm(dir, { recursive: true, force: true })
})

/**
 * Returns the answer to a user who may not do everything. Tests may run as root: a process of its own gives
 * that up.
 */
function found(env: { readonly [name: string]: string } = {}): string {
  const script = `import { hasEmbeddedHistory } from ${MODULE}
    if (process.getuid() === 0) {
      process.setgroups([])
      process.setgid(${NOBODY})
      process.setuid(${NOBODY})
    }
    try {
      console.log(hasEmbeddedHistory(${JSON.stringify({ dir, env })}))
    } catch (error) {
      console.log(error.code, error.message)
    }`
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).stdout
}

it('a folder of another user is told as such, and not as one in which nothing ran', async () => {
  const folder = join(dir, '.sluice')
  await mkdir(join(folder, 'env/prod'), { recursive: true })
  // Another test of this process may have set its umask.
  for (const path of ['.', 'env', 'env/prod']) await chmod(join(folder, path), 0o755)
  expect(found()).toBe('false\n')
  await writeFile(join(folder, 'log.db'), '')
  expect(found()).toBe('true\n')
  await chmod(folder, 0o000)
  const told = new RegExp(
    String.raw`^config \S+\.sluice belongs to the user with the number \d+, .*sudo -u '#\d+'`,
  )
  expect(found()).toMatch(told)
  expect(found({ SLUICE_ENV: 'prod' })).toMatch(told)
})

it('a file in the place of the folder has no history', async () => {
  await writeFile(join(dir, '.sluice'), '', { mode: 0o600 })
  expect(found()).toBe('false\n')
})
