/**
 * The bundle of the command does what the sources do, and makes way for them once one of them has changed.
 */
import { execFile } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildBundle } from '../../services/cli/bundle/build-bundle.mjs'
import { freshBundle, STAMP, stampOf } from '../../services/cli/bundle/fresh-bundle.mjs'
import { PROJECT } from './idle-project.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bundle-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('the bundle', () => {
  it('runs the command, with the process of its query, from a folder that has nothing else', async () => {
    const bundle = join(ROOT, 'node_modules/.cache', `sluice-of-test-${process.pid}`)
    try {
      await buildBundle(bundle)
      expect(freshBundle(ROOT, bundle)).toBe(bundle)
      const outputs = [join(bundle, 'sluice.mjs'), join(ROOT, 'services/cli/src/main.ts')].map(async main => {
        const dir = join(folder, main === join(bundle, 'sluice.mjs') ? 'bundle' : 'sources')
        await mkdir(dir)
        await writeFile(join(dir, 'project.yaml'), PROJECT)
        const node = ['--disable-warning=ExperimentalWarning', main]
        const { stdout } = await run(process.execPath, [...node, 'run', 'nobody', '--json', '--dir', dir])
        const { stdout: version } = await run(process.execPath, [...node, 'version'])
        const { status, rowsRead, triggers } = JSON.parse(stdout) as { [field: string]: unknown }
        return { status, rowsRead, triggers, version }
      })
      const [bundled, sources] = await Promise.all(outputs)
      expect(bundled).toEqual(sources)
      expect(bundled).toMatchObject({ status: 'success', rowsRead: 0 })
    } finally {
      await rm(bundle, { recursive: true, force: true })
    }
  })

  it.each<[change: string, change: (source: string) => Promise<void>]>([
    ['is longer', source => appendFile(source, ' ')],
    ['was written again', source => utimes(source, 1, 1)],
    ['is gone', source => rm(source)],
  ])('is passed over if a source %s', async (_, change) => {
    const bundle = join(folder, 'bundle')
    for (const made of ['bundle', 'node_modules', 'src']) await mkdir(join(folder, made))
    await writeFile(join(folder, 'node_modules/.package-lock.json'), '{}')
    await writeFile(join(folder, 'src/main.ts'), 'const answer = 42')
    expect(freshBundle(folder, bundle)).toBe(null)
    await writeFile(join(bundle, STAMP), JSON.stringify(stampOf(['src/main.ts'], folder)))
    expect(freshBundle(folder, bundle)).toBe(bundle)
    await change(join(folder, 'src/main.ts'))
    expect(freshBundle(folder, bundle)).toBe(null)
  })
})
