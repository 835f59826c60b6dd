/**
 * The line that a test run ends with, and what `.ci/run` makes of it, against runs that go well and wrong in
 * every way.
 */
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FILES = {
  passing: `it('adds', () => expect(1 + 1).toBe(2))\nit('still adds', () => expect(2 + 2).toBe(4))`,
  failing: `it('adds', () => expect(1 + 1).toBe(2))\nit('miscounts', () => expect(1 + 1).toBe(3))`,
  skipping: `it('adds', () => expect(1 + 1).toBe(2))\nit.skip('is left out', () => undefined)`,
  unloadable: `throw new Error('cannot be loaded')`,
  hooked: `beforeAll(() => { throw new Error('no service') })\nit('needs the service', () => undefined)`,
  outside: `it('adds', () => { void Promise.reject(new Error('nobody waits for this')) })`,
  empty: `describe('nothing', () => undefined)`,
}

interface Ended {
  readonly code: number
  readonly lines: readonly string[]
}

let folder: string

/** Runs a program to its end, with nothing of this test run's own environment but PATH and HOME. */
function run(program: string, args: readonly string[], env: { [name: string]: string }): Promise<Ended> {
  const path = env['PATH'] ?? process.env['PATH'] ?? ''
  const options = { cwd: folder, env: { ...env, PATH: path, HOME: folder } }
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout) => {
      const code = error === null ? 0 : error.code
      if (typeof code !== 'number') reject(new Error(`${program} did not run`, { cause: error }))
      else resolve({ code, lines: stdout.trimEnd().split('\n') })
    })
  })
}

function vitest(file: keyof typeof FILES, ci: boolean): Promise<Ended> {
  const entry = join(ROOT, 'node_modules/vitest/vitest.mjs')
  return run(process.execPath, [entry, 'run', `${file}.test.js`], ci ? { CI: 'true' } : {})
}

/** Runs `.ci/run` with a stand-in for npm, a shell script that gets npm's arguments. */
async function ciRun(npm: string): Promise<Ended> {
  const bin = join(folder, 'bin')
  await mkdir(bin, { recursive: true })
  await writeFile(join(bin, 'npm'), `#!/bin/sh\n${npm}\n`)
  await chmod(join(bin, 'npm'), 0o755)
  return run(join(folder, '.ci/run'), [], { PATH: `${bin}:${process.env['PATH'] ?? ''}` })
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'closing-line-'))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  await cp(join(ROOT, '.ci'), join(folder, '.ci'), { recursive: true })
  await cp(join(ROOT, 'test/summary-reporter.ts'), join(folder, 'summary-reporter.ts'))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await writeFile(
    join(folder, 'vitest.config.js'),
    `import { SummaryReporter } from './summary-reporter.ts'
     export default { test: { reporters: ['default', new SummaryReporter()] } }`,
  )
  await writeFile(
    join(folder, 'leaving.config.js'),
    `import { SummaryReporter } from './summary-reporter.ts'
     const leaving = new SummaryReporter({ leftOut: ['a.long.test.ts', 'b.long.contract.test.ts'] })
     export default { test: { reporters: ['default', leaving] } }`,
  )
  const imports = `import { beforeAll, describe, expect, it } from 'vitest'\n`
  for (const [name, text] of Object.entries(FILES))
    await writeFile(join(folder, `${name}.test.js`), imports + text)
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

describe('the closing line of a test run', () => {
  it.each([
    ['counts what passed', 'passing', '2 passed, 0 failed', 0],
    ['counts what failed', 'failing', '1 passed, 1 failed', 1],
    ['counts a file that cannot be loaded as failed', 'unloadable', '0 passed, 1 failed', 1],
    ['counts a broken hook as failed', 'hooked', '0 passed, 1 failed', 1],
    ['counts an error outside of tests as failed', 'outside', '1 passed, 1 failed', 1],
    ['lets a skipped test pass on a desk', 'skipping', '1 passed, 0 failed', 0],
  ] as const)('%s', async (_promise, file, line, code) => {
    const ended = await vitest(file, false)
    expect({ last: ended.lines.at(-1), code: ended.code }).toEqual({ last: line, code })
  })

  it('comes with an exit code that refuses a skipped test under CI, and names it', async () => {
    const ended = await vitest('skipping', true)
    expect(ended.code).toBe(1)
    expect(ended.lines.at(-1)).toBe('1 passed, 0 failed')
    expect(ended.lines.at(-2)).toContain('skipping.test.js > is left out')
  })

  it('comes after what the run leaves to a longer one', async () => {
    const entry = join(ROOT, 'node_modules/vitest/vitest.mjs')
    const args = [entry, 'run', '--config', 'leaving.config.js', 'passing.test.js']
    const { lines } = await run(process.execPath, args, {})
    expect(lines.slice(-2)).toEqual([
      'Left for `npm run test:all`: 2 long files (*.long.test.ts, *.long.contract.test.ts)',
      '2 passed, 0 failed',
    ])
  })

  it('comes with an exit code that refuses a run without tests', async () => {
    expect((await vitest('empty', true)).code).toBe(1)
  })
})

describe('.ci/run', () => {
  const write = (line: string): string => `[ "$2" = test:all ] && echo '${line}' > "$SLUICE_TEST_SUMMARY"`

  it.each([
    ['passes when all passed', write('7 passed, 0 failed') + '; exit 0', '7 passed, 0 failed', 0],
    ['fails when a test failed', write('6 passed, 1 failed') + ' && exit 1; exit 0', '6 passed, 1 failed', 1],
    ['fails by the count alone', write('6 passed, 1 failed') + '; exit 0', '6 passed, 1 failed', 1],
    [
      'fails by the exit code alone',
      write('7 passed, 0 failed') + ' && exit 1; exit 0',
      '7 passed, 0 failed',
      1,
    ],
    ['fails when nothing was run', write('0 passed, 0 failed') + '; exit 0', '0 passed, 0 failed', 1],
    ['fails when the tests came to no end', 'exit 0', '0 passed, 1 failed', 1],
    ['fails when the installation failed', '[ "$1" = ci ] && exit 1; exit 0', '0 passed, 1 failed', 1],
    [
      'fails when a check failed',
      write('7 passed, 0 failed') + '; [ "$2" != check ]',
      '7 passed, 0 failed',
      1,
    ],
  ] as const)('%s', async (_promise, npm, line, code) => {
    const ended = await ciRun(npm)
    expect({ last: ended.lines.at(-1), code: ended.code }).toEqual({ last: line, code })
  })

  it('runs the installation, the checks and all tests, in this order', async () => {
    const ended = await ciRun('echo "npm $*"; exit 0')
    expect(ended.lines.filter(line => line.startsWith('npm '))).toEqual([
      'npm ci',
      'npm run check',
      'npm run test:all',
    ])
  })
})
