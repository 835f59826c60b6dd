/**
 * All that holds rows in memory starts with the same settings of Node and of the C library, wherever it runs.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { environmentOf, FLAGS, MEMORY } from '../../libs/runtime/bin/node-settings.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** A launcher starts its process again, with settings. The second start tells them. */
const TELLS = `if (process.env.LAUNCHED === undefined) process.env.LAUNCHED = 'once'
else {
  process.stdout.write(JSON.stringify({ flags: process.execArgv, env: process.env, args: process.argv.slice(1) }))
  process.exit()
}`

let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-settings-'))
  writeFileSync(join(dir, 'tells.mjs'), TELLS)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

interface Told {
  readonly flags: readonly string[]
  readonly env: { readonly [name: string]: string }
  readonly args: readonly string[]
}

/** Starts a script of a service, and returns the settings that its process got. */
function started(service: string, env: { readonly [name: string]: string } = {}): Told {
  const folder = join(ROOT, 'services', service)
  const manifest: { scripts: { start: string } } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  )
  const script = manifest.scripts.start.replace('exec node ', `exec "${process.execPath}" `)
  const NODE_OPTIONS = `--import=${join(dir, 'tells.mjs')}`
  return JSON.parse(
    execFileSync('/bin/sh', ['-c', script], { cwd: folder, env: { NODE_OPTIONS, ...env }, encoding: 'utf8' }),
  ) as Told
}

it.each(['change-detector', 'renderer', 'delivery', 'console'])('%s gets them from `npm start`', service => {
  const { flags, env, args } = started(service)
  expect(flags).toEqual(FLAGS)
  expect(env).toMatchObject({ ...MEMORY, NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/sluice') })
  expect(args).toEqual([join(ROOT, 'services', service, 'src/main.ts')])
})

it('what the environment says counts', () => {
  const own = { MALLOC_MMAP_THRESHOLD_: '1000000', NODE_COMPILE_CACHE: '' }
  expect(started('renderer', own).env).toMatchObject(own)
})

it.skipIf(process.platform !== 'linux')('DuckDB gives memory back once it is free', () => {
  const source = `
    import { DuckDBInstance } from ${JSON.stringify(import.meta.resolve('@duckdb/node-api'))}
    const connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect()
    await connection.run('SELECT 1')
    const megabytes = () => process.memoryUsage.rss() / 1e6
    const before = megabytes()
    await connection.run('SELECT max(strlen(t)) FROM (SELECT concat(n, repeat(md5(n::VARCHAR), 2000)) AS t FROM range(2000) r(n))')
    const peak = process.resourceUsage().maxRSS / 1e3
    process.stdout.write(JSON.stringify({ held: peak - before, kept: megabytes() - before }))`
  const env = environmentOf({ HOME: dir, PATH: process.env['PATH'] })
  const told = execFileSync(process.execPath, ['--input-type=module', '-e', source], {
    env,
    encoding: 'utf8',
  })
  const { held, kept }: { held: number; kept: number } = JSON.parse(told)
  expect(held).toBeGreaterThan(100)
  expect(kept).toBeLessThan(held / 4)
})

it.skipIf(process.platform !== 'linux')('all threads share one heap of the C library', () => {
  const source = `
    import { readFile } from 'node:fs/promises'
    import { Worker } from 'node:worker_threads'
    await Promise.all(Array.from({ length: 100 }, () => readFile('/proc/self/maps')))
    await new Promise(resolve => new Worker('0', { eval: true }).once('exit', resolve))
    const maps = (await readFile('/proc/self/maps', 'utf8')).split('\\n').map(line => line.split(/[- ]/))
    // The heap of a thread is what glibc uses of an aligned reservation of 64 MB, and the rest of that.
    const size = 2 ** 26
    const heaps = maps.filter(([from, to, rights], index) => {
      const [start, [next, end]] = [parseInt(from, 16), maps[index + 1] ?? []]
      return rights === 'rw' && start % size === 0 && next === to && parseInt(end, 16) === start + size
    })
    process.stdout.write(String(heaps.length))`
  const count = (env: NodeJS.ProcessEnv): number =>
    Number(execFileSync(process.execPath, ['--input-type=module', '-e', source], { env, encoding: 'utf8' }))
  const path = { HOME: dir, PATH: process.env['PATH'] }
  expect(count(environmentOf(path))).toBe(0)
  // The search finds what it looks for.
  expect(count(path)).toBeGreaterThan(0)
})
