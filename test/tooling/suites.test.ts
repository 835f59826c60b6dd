/**
 * No test file is lost between `npm test` and the rest: every one belongs to one suite, and to `npm test` or
 * to `npm run test:rest`, and `npm run test:all` has them all.
 */
import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { SLOW_FILES } from '../slow-files-first.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)
const listed = z.array(z.object({ file: z.string() }))
const packageJson = z.object({ scripts: z.record(z.string(), z.string()) })

/** The files that a script of package.json runs, in order; `more` is added to its command line. */
async function filesOf(script: string, ...more: readonly string[]): Promise<readonly string[]> {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } })
  const [program, , ...args] = packageJson.parse(manifest).scripts[script]?.split(' ') ?? []
  expect(program, script).toBe('vitest')
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  // `--json` comes last: it would take what follows it for a file to write.
  const list = [vitest, 'list', ...more, ...args, '--filesOnly', '--json']
  const { stdout } = await run(process.execPath, list, { cwd: ROOT })
  const found = listed.parse(JSON.parse(stdout))
  return found.map(({ file }) => relative(ROOT, file).replaceAll('\\', '/')).toSorted()
}

const isLong = (file: string): boolean => file.includes('.long.')

describe('the test files', () => {
  let written: readonly string[] = []
  let short: readonly string[] = []
  let rest: readonly string[] = []
  let all: readonly string[] = []

  beforeAll(async () => {
    written = globSync('{libs,services,test,deploy,docs}/**/*.test.ts', {
      cwd: ROOT,
      exclude: path => path.includes('node_modules'),
    }).map(path => path.replaceAll('\\', '/'))
    ;[short, rest, all] = await Promise.all([filesOf('test'), filesOf('test:rest'), filesOf('test:all')])
  })

  it('are all in `npm run test:all`, each once', () => {
    expect(all).toEqual(written.toSorted())
  })

  it('are in `npm test` unless their names say `.long`', () => {
    expect(short).toEqual(written.filter(file => !isLong(file)).toSorted())
    expect(short.length).toBeGreaterThan(0)
  })

  it('are in `npm run test:rest` if their names say `.long`', () => {
    expect(rest).toEqual(written.filter(isLong).toSorted())
    expect(rest.length).toBeGreaterThan(0)
  })

  it('that come first because they are slow are there', () => {
    expect(SLOW_FILES.filter(file => !all.includes(file))).toEqual([])
  })

  it('that take long are run if the command line names them', async () => {
    const [named = ''] = rest
    expect(await filesOf('test', named)).toEqual([named])
  })
})
