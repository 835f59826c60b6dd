/** The author of a project tries to stop, to fill or to read the machine on which somebody loads it. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import { ReadingLimits } from './files/reading-limits.ts'
import { loadProject } from './load-project.ts'

const DESTINATION = 'kind: destination\nname: d\nbaseUrl: http://h\n'
let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-hostile-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

/** All that is wrong, as `file message`. */
async function problemsOf(): Promise<string[]> {
  try {
    await loadProject(dir, { env: {}, signal: new AbortController().signal })
    return []
  } catch (error) {
    if (!isSluiceError(error, 'config')) throw error
    return error.details.length === 0
      ? [error.message]
      : error.details.map(({ file = '', message }) => `${file} ${message}`)
  }
}

const many = (count: number, write: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => write(at)).join('')

describe('a file of an unusual size or form is refused soon, with its name and the limit', () => {
  it.each<[what: string, text: string, message: RegExp]>([
    [
      'five megabytes of [',
      '['.repeat(5_000_000),
      /^x.yaml wanted a file of at most 1000000 bytes, found 5000000/,
    ],
    ['a megabyte of [', '['.repeat(999_000), /^x.yaml the YAML has more than 64 levels/],
    ['closed brackets', `a: ${'['.repeat(400_000)}${']'.repeat(400_000)}`, /more than 64 levels/],
    ['dashes', '- '.repeat(490_000), /more than 64 levels/],
    ['maps in maps', many(300, at => `${' '.repeat(at)}a:\n`), /more than 64 levels/],
    ['300,000 keys', many(80_000, at => `k${at}: v\n`), /more than 200000 names/],
    ['comments', '#\n'.repeat(490_000), /more than 200000 names/],
    ['documents', '---\na: 1\n'.repeat(90_000), /more than 2000 documents/],
    [
      'aliases',
      `${DESTINATION}query:\n  a: &x "v"\n${many(40_000, at => `  k${at}: *x\n`)}`,
      /more than 1000 aliases/,
    ],
    [
      'anchors that double',
      `${DESTINATION}headers:\n  a: &a0 [x, x]\n${many(30, at => `  b${at}: &a${at + 1} [*a${at}, *a${at}]\n`)}`,
      /too large or too deep|wanted text|wanted a header value|unknown/,
    ],
    [
      'merges that double',
      `x0: &x0 {A: b}\n${many(30, at => `x${at + 1}: &x${at + 1} {<<: [*x${at}, *x${at}]}\n`)}${DESTINATION}headers:\n  <<: *x30\n`,
      /too many maps to merge|unknown field/,
    ],
  ])('%s', async (_what, text, message) => {
    writeFileSync(join(dir, 'x.yaml'), text)
    const before = process.threadCpuUsage()
    const problems = await problemsOf()
    const { user, system } = process.threadCpuUsage(before)
    expect(problems.join('\n')).toMatch(message)
    expect((user + system) / 1_000_000).toBeLessThan(5)
  })
})

it('a project of very many resources, or of many bytes, is refused', () => {
  const limits = new ReadingLimits('/p', new AbortController().signal)
  expect(() => limits.count('y.yaml', { bytes: 1, resources: 10_001 })).toThrow(
    'more than 10000 resources, with y.yaml',
  )
  expect(() => limits.count('z.yaml', { bytes: 20_000_001, resources: 0 })).toThrow(
    'more than 20000000 bytes of YAML, with z.yaml',
  )
})

it('reading ends at its deadline, and says where it is', async () => {
  const limits = new ReadingLimits('/p', new AbortController().signal, -1)
  await expect(limits.step('slow.yaml')).rejects.toThrow('it is at slow.yaml')
})

describe('a file that is no regular one is an error, and nobody waits for it', () => {
  it.each(['pipe.yaml', 'pipe'])('a pipe called %s', async name => {
    execFileSync('mkfifo', [join(dir, name)])
    writeFileSync(join(dir, 'd.yaml'), `${DESTINATION}title: \${file:${name}}\n`)
    expect((await problemsOf()).join()).toContain('wanted a file, found a pipe, socket or device')
  })

  it('a socket', async () => {
    const server = createServer().listen(join(dir, 's.yaml'))
    await once(server, 'listening')
    expect(await problemsOf()).toEqual(['s.yaml wanted a file, found a pipe, socket or device'])
    server.close()
  })

  it('an endless device behind a link', async () => {
    symlinkSync('/dev/zero', join(dir, 'z.yaml'))
    expect(await problemsOf()).toEqual(['z.yaml wanted a file, found a pipe, socket or device'])
  })
})

describe('a reference reads no file outside of the project', () => {
  it.each([
    ...['/etc/passwd', '../secret.txt', 'link', 'folder/passwd', 'sub/../../secret.txt'],
    // Where a disk knows no case, the second is the first.
    ...['.sluice/key', '.SLUICE/key', 'sub/.sluice/key'],
  ])('%s', async path => {
    const project = join(dir, 'project')
    for (const folder of ['.sluice', '.SLUICE', 'sub/.sluice']) {
      mkdirSync(join(project, folder), { recursive: true })
      writeFileSync(join(project, folder, 'key'), 'secret')
    }
    writeFileSync(join(dir, 'secret.txt'), 'secret')
    symlinkSync(join(dir, 'secret.txt'), join(project, 'link'))
    symlinkSync('/etc', join(project, 'folder'))
    writeFileSync(join(project, 'd.yaml'), `${DESTINATION}title: \${file:${path}}\n`)
    dir = project
    const problems = await problemsOf()
    dir = join(project, '..')
    expect(problems.join()).toContain('wanted a file inside of the project folder, found one outside')
  })
})

it('an interrupt is heard between two files', async () => {
  for (let file = 0; file < 20; file += 1) writeFileSync(join(dir, `f${file}.yaml`), '#\n'.repeat(90_000))
  const interrupt = new AbortController()
  const heard = new Error('interrupted')
  // As the listener of a signal of the system, it runs only when reading lets the event loop go on.
  setTimeout(() => interrupt.abort(heard), 1)
  await expect(loadProject(dir, { env: {}, signal: interrupt.signal })).rejects.toBe(heard)
})

it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
  'a kind that JavaScript has a meaning for, %s, is an unknown kind',
  async kind => {
    writeFileSync(join(dir, 'a.yaml'), `${DESTINATION}---\nkind: ${kind}\nname: ${kind}\n`)
    const [problem = '', ...others] = await problemsOf()
    expect([problem, others]).toEqual([expect.stringContaining(`\`${kind}\``), []])
  },
)

it('a folder behind a link is not read, be it the project itself, its parent, or the whole machine', async () => {
  writeFileSync(join(dir, 'd.yaml'), DESTINATION)
  for (const [name, target] of [
    ['itself', '.'],
    ['machine', '/'],
    ['parent', '..'],
    ['dangling', 'nowhere'],
  ] as const)
    symlinkSync(target, join(dir, name))
  mkdirSync(join(dir, 'sub'))
  symlinkSync('../sub', join(dir, 'sub', 'round'))
  const before = process.threadCpuUsage()
  expect(await problemsOf()).toEqual([])
  const { user, system } = process.threadCpuUsage(before)
  expect((user + system) / 1000).toBeLessThan(2_000)
})
