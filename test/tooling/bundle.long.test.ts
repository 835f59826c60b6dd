/**
 * The bundles do what the sources do, and make way for them once one of them has changed.
 */
import { execFile, spawnSync } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { buildBundle } from '../../libs/runtime/bundle/build-bundle.mjs'
import {
  freshBundle,
  PROGRAMS,
  stampOf,
  startFile,
  stateOf,
} from '../../libs/runtime/bundle/fresh-bundle.mjs'
import { PROJECT } from './idle-project.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)
const NODE = ['--disable-warning=ExperimentalWarning']
const SERVICES = Object.entries(PROGRAMS.services)

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bundle-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('a bundle that was made', () => {
  const bundles = join(ROOT, `node_modules/.cache/sluice-of-test-${process.pid}`)
  const earlier = [4, 3, 2, 1].map(age => `services-${String(age).repeat(16)}`)
  let command = ''
  let services = ''
  beforeAll(async () => {
    for (const [index, name] of earlier.entries()) {
      await mkdir(join(bundles, name), { recursive: true })
      await utimes(join(bundles, name), index, index)
    }
    const built = [buildBundle('command', bundles), buildBundle('services', bundles)]
    ;[command = '', services = ''] = await Promise.all(built)
  })
  afterAll(() => rm(bundles, { recursive: true, force: true }))

  it('is fresh, and stands in the place of the sources that it has', () => {
    expect(freshBundle('command', ROOT, bundles)).toBe(command)
    const files = Object.values(PROGRAMS).flatMap(programs => Object.values(programs))
    expect(files.map(file => startFile(join(ROOT, file), ROOT, bundles))).toEqual([
      join(command, 'sluice.mjs'),
      ...SERVICES.map(([name]) => join(services, `${name}.mjs`)),
    ])
    const query = join(ROOT, 'libs/sources/src/adapters/duckdb/process/main.ts')
    expect(startFile(query, ROOT, bundles)).toBe(join(command, 'query.mjs'))
    const other = join(ROOT, 'services/renderer/src/renderer.ts')
    expect(startFile(other, ROOT, bundles)).toBe(other)
  })

  it('can be read by other users of the machine, such as that of a unit, as far as its files can', async () => {
    const usual = 0o777 & ~process.umask()
    for (const made of [command, services]) expect((await stat(made)).mode & 0o777).toBe(usual)
  })

  it('runs the command, with the process of its query, from a folder that has nothing else', async () => {
    const mains = [join(command, 'sluice.mjs'), join(ROOT, PROGRAMS.command['sluice'] ?? '')]
    const outputs = mains.map(async (main, index) => {
      const dir = join(folder, String(index))
      await mkdir(dir)
      await writeFile(join(dir, 'project.yaml'), PROJECT)
      const { stdout } = await run(process.execPath, [
        ...[...NODE, main],
        ...['run', 'nobody', '--json', '--dir', dir],
      ])
      const { stdout: version } = await run(process.execPath, [...NODE, main, 'version'])
      const { status, rowsRead, triggers } = JSON.parse(stdout) as { [field: string]: unknown }
      return { status, rowsRead, triggers, version }
    })
    const [bundled, sources] = await Promise.all(outputs)
    expect(bundled).toEqual(sources)
    expect(bundled).toMatchObject({ status: 'success', rowsRead: 0 })
  })

  it('starts a service, which says what its source says', () => {
    const mains = [join(services, 'delivery.mjs'), join(ROOT, PROGRAMS.services['delivery'] ?? '')]
    const ends = mains.map(main => {
      const { status, stderr } = spawnSync(process.execPath, [...NODE, main], { env: {}, encoding: 'utf8' })
      const { msg, code } = JSON.parse(stderr) as { msg: string; code: string }
      return { status, msg, code }
    })
    expect(ends[0]).toEqual(ends[1])
    expect(ends[0]).toMatchObject({ status: 2, code: 'config' })
  })

  it('stays for the processes that run from it when it is made again, as do the two before it', async () => {
    const file = join(services, 'delivery.mjs')
    const { ino, mtimeMs } = await stat(file)
    expect(await buildBundle('services', bundles)).toBe(services)
    expect(await stat(file)).toMatchObject({ ino, mtimeMs })
    const kept = [
      services,
      stampOf('services', bundles),
      ...earlier.slice(2).map(name => join(bundles, name)),
    ]
    const found = (await readdir(bundles)).filter(name => name.startsWith('services'))
    expect(found.map(name => join(bundles, name)).sort()).toEqual(kept.sort())
  })
})

it.each<[change: string, change: (source: string) => Promise<void>]>([
  ['is longer', source => appendFile(source, ' ')],
  ['was written again', source => utimes(source, 1, 1)],
  ['is gone', source => rm(source)],
  ['has a bundle that is gone', source => rm(join(source, '../../../../services-1'), { recursive: true })],
])('a bundle is passed over if a source %s', async (_, change) => {
  const source = join(folder, 'services/renderer/src/main.ts')
  await mkdir(join(source, '..'), { recursive: true })
  await writeFile(source, 'const answer = 42')
  const inBundle = join(folder, 'services-1/renderer.mjs')
  await mkdir(join(inBundle, '..'))
  expect(startFile(source, folder, folder)).toBe(source)
  const sources = [['services/renderer/src/main.ts', ...stateOf(source)]]
  await writeFile(stampOf('services', folder), JSON.stringify({ folder: 'services-1', sources }))
  expect(startFile(source, folder, folder)).toBe(inBundle)
  await change(source)
  expect(startFile(source, folder, folder)).toBe(source)
})
