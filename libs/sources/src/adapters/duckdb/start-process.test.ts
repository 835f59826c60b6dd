import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { modelOf } from '../../../test/contract.ts'
import type { Task } from './messages.ts'
import { QueryProcess } from './start-process.ts'

const { signal } = new AbortController()
const LIMITS = { memoryBytes: 100_000_000, fileBytes: 1_000_000, cpuMs: 60_000 }
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-process-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function taskOf(): Task {
  const source = { name: 'shop', type: 'duckdb' as const, path: folder, realPath: folder, isDatabase: false }
  const memory = { memoryBytes: 100_000_000, threads: 1, forManyRows: false, spillBytes: 1_000_000 }
  return { model: modelOf('SELECT 1 AS id'), source, file: null, tempDirectory: folder, ...memory }
}

/** Runs a process that was taken over, and now does what this script says. */
async function endingOf(script: string, { limits = LIMITS, by = signal } = {}) {
  const program = join(folder, 'taken-over.mjs')
  writeFileSync(program, script)
  await using started = QueryProcess.start(limits, program)
  return await started.run(taskOf(), by)
}

it.each([
  ['exits', 'process.exit(0)', 'ended with exit code 0'],
  ['aborts', 'process.abort()', 'was ended by SIGABRT'],
  ['is killed by the kernel', "process.kill(process.pid, 'SIGKILL')", 'was ended by SIGKILL'],
  ['crashes', "process.kill(process.pid, 'SIGSEGV')", 'was ended by SIGSEGV'],
  ['says what is no JSON', "process.stdout.write('no JSON\\n')", 'gave an answer that makes no sense'],
  [
    'says what is no answer',
    `process.stdout.write('{"kind":"rows","rowCount":-1}\\n')`,
    'gave an answer that makes no sense',
  ],
  [
    'says JSON that is nested without end',
    "process.stdout.write('['.repeat(1_000_000) + '\\n')",
    'gave an answer that makes no sense',
  ],
])('a process that %s is an ending with a reason', async (_, script, how) => {
  expect(await endingOf(`${script}\nsetInterval(() => {}, 1000)`)).toEqual({ kind: 'ended', how })
})

it('a process that writes without end is killed', async () => {
  const script = "const more = () => process.stdout.write('x'.repeat(1_000_000), more)\nmore()"
  expect(await endingOf(script)).toEqual({ kind: 'ended', how: 'was ended by SIGKILL' })
})

it('a process that gives two answers at once is believed neither', async () => {
  const script = `process.stdout.write('{"kind":"rows","rowCount":1}\\n{"kind":"rows","rowCount":2}\\n')`
  expect((await endingOf(`${script}\nsetInterval(() => {}, 1000)`)).kind).toBe('ended')
})

it('a process that takes more memory than it may is killed', async () => {
  const script = 'const held = []\nsetInterval(() => held.push(Buffer.alloc(50_000_000, 1)), 5)'
  expect(await endingOf(script)).toEqual({ kind: 'took too much memory' })
})

it('a process that works for too long is ended by the system', async () => {
  expect(await endingOf('for (;;) {}', { limits: { ...LIMITS, cpuMs: 1000 } })).toEqual({
    kind: 'took too much time',
  })
})

it('a process that does not answer is killed when the caller aborts', async () => {
  const script = "process.on('SIGTERM', () => {})\nsetInterval(() => {}, 1000)"
  expect(await endingOf(script, { by: AbortSignal.timeout(200) })).toMatchObject({ kind: 'ended' })
})

it('a process finds no variable of the environment, small files only, and no core dump', async () => {
  const script = `
    import { readFileSync, writeFileSync } from 'node:fs'
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const limitOf = name => new RegExp(name + '\\\\s+(\\\\d+)').exec(limits)?.[1]
    let code = null
    try { writeFileSync(${JSON.stringify('FOLDER')} + '/large', 'x'.repeat(2_000_000)) } catch (error) { code = error.code }
    const found = { env: Object.keys(process.env), cwd: process.cwd(), code, core: limitOf('Max core file size') }
    process.stdout.write(JSON.stringify({ kind: 'failed', code: 'internal', message: JSON.stringify(found), retryable: false, details: [], lacksMemory: false }) + '\\n')
    setInterval(() => {}, 1000)`.replace('FOLDER', folder)
  const ending = await endingOf(script)
  const message = ending.kind === 'answered' && ending.answer.kind === 'failed' ? ending.answer.message : '{}'
  // A shell sets PWD and the like, which say nothing of the process that started it.
  expect(JSON.parse(message)).toEqual({
    env: expect.not.arrayContaining(['PATH', 'HOME', 'USER']),
    cwd: '/',
    code: 'EFBIG',
    core: '0',
  })
  expect(message).not.toContain('SLUICE')
})

it('a process keeps a stricter limit of the process that starts it', async () => {
  const report = `
    import { readFileSync } from 'node:fs'
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const message = /Max file size +(\\d+)/.exec(limits)?.[1] ?? ''
    process.stdout.write(JSON.stringify({ kind: 'failed', code: 'internal', message, retryable: false, details: [], lacksMemory: false }) + '\\n')
    setInterval(() => {}, 1000)`
  const program = join(folder, 'report.mjs')
  writeFileSync(program, report)
  const starter = join(folder, 'starter.mjs')
  const module = new URL('start-process.ts', import.meta.url).href
  writeFileSync(
    starter,
    `import { QueryProcess } from ${JSON.stringify(module)}
    const started = QueryProcess.start(${JSON.stringify(LIMITS)}, ${JSON.stringify(program)})
    const ending = await started.run(${JSON.stringify(taskOf())}, new AbortController().signal)
    console.log(ending.answer.message)`,
  )
  const args = ['-c', 'ulimit -Sf 100; exec "$0" "$@"', process.execPath, starter]
  const { stdout } = await promisify(execFile)('/bin/sh', args)
  expect(stdout.trim()).toBe(String(100 * 512))
})
