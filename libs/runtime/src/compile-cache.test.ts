/**
 * Another user of the machine tries to have code of theirs run: they make the folder of compiled code first.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { compileCacheFolder } from '../bin/compile-cache.mjs'

const SLUICE = fileURLToPath(new URL('../../../services/cli/bin/sluice.mjs', import.meta.url))
const ANOTHER_USER = 65_534
let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sluice-home-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

it('is below the caches of the user, and nobody else may write or look into it', () => {
  const folder = compileCacheFolder({ HOME: home })
  expect(folder).toBe(join(home, '.cache/sluice/compiled'))
  expect(statSync(folder ?? '').mode & 0o777).toBe(0o700)
  expect(compileCacheFolder({ HOME: '/nowhere', XDG_CACHE_HOME: join(home, 'x') })).toBe(
    join(home, 'x/sluice/compiled'),
  )
})

it('is not where a variable with a relative path leads', () => {
  expect(compileCacheFolder({ HOME: home, XDG_CACHE_HOME: 'here' })).toBe(
    join(home, '.cache/sluice/compiled'),
  )
})

it.each<[what: string, plant: () => void]>([
  ['is a link', () => symlinkSync(mkdtempSync(join(home, 'planted-')), join(home, '.cache/sluice'))],
  [
    'has a link in its place',
    () => {
      mkdirSync(join(home, '.cache/sluice'), { mode: 0o700 })
      symlinkSync(mkdtempSync(join(home, 'planted-')), join(home, '.cache/sluice/compiled'))
    },
  ],
  [
    'can be written by others',
    () => {
      mkdirSync(join(home, '.cache/sluice'))
      chmodSync(join(home, '.cache/sluice'), 0o777)
    },
  ],
  ['can be replaced by others', () => chmodSync(join(home, '.cache'), 0o777)],
  ['is a file', () => symlinkSync('/dev/null', join(home, '.cache/sluice'))],
])('there is none if it %s', (_what, plant) => {
  mkdirSync(join(home, '.cache'), { mode: 0o700 })
  plant()
  expect(compileCacheFolder({ HOME: home })).toBeNull()
})

it.skipIf(process.geteuid?.() !== 0)('there is none if another user owns it', () => {
  mkdirSync(join(home, '.cache/sluice/compiled'), { recursive: true, mode: 0o700 })
  chownSync(join(home, '.cache/sluice/compiled'), ANOTHER_USER, ANOTHER_USER)
  expect(compileCacheFolder({ HOME: home })).toBeNull()
})

it('the command takes no code from the shared folder for temporary files', () => {
  const shared = join(home, 'tmp')
  mkdirSync(join(shared, 'node-compile-cache'), { recursive: true })
  const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: shared }
  const { status } = spawnSync(process.execPath, [SLUICE, 'version'], { env })
  expect(status).toBe(0)
  expect(readdirSync(join(shared, 'node-compile-cache'))).toEqual([])
  expect(existsSync(join(home, '.cache/sluice/compiled'))).toBe(true)
})
