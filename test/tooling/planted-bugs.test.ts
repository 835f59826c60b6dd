/** The planted bugs of `npm run test:mutants` fit the sources as they are. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = join(ROOT, 'test/mutants')

const PATCHES = readdirSync(FOLDER).filter(file => file.endsWith('.patch'))
/** All texts in files of tests. Titles are among them. */
const TEXTS = [
  ...new Set(
    execFileSync('git', ['ls-files', '*.test.ts', 'libs/*/test/*.ts', 'services/*/test/*.ts', 'test/*.ts'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
      .split('\n')
      .filter(file => file !== '' && existsSync(join(ROOT, file)))
      .flatMap(file => readFileSync(join(ROOT, file), 'utf8').match(/(['"`])(?:\\.|(?!\1).)+\1/g) ?? [])
      .map(text => text.slice(1, -1).replaceAll(/\\(.)/g, '$1')),
  ),
]
const RULES = Array.from({ length: 20 }, (_, index) => `R${index + 1}`)

describe('the planted bug', () => {
  it('is one at least for each rule of PROTOCOL.md and ARCHITECTURE.md', () => {
    const broken = PATCHES.flatMap(
      file => /^Breaks: .*$/m.exec(readFileSync(join(FOLDER, file), 'utf8')) ?? [],
    )
    expect(RULES.filter(rule => !broken.some(line => new RegExp(`\\b${rule}\\b`).test(line)))).toEqual([])
  })

  it.each(PATCHES)('%s applies, and names its test', file => {
    execFileSync('git', ['apply', '--check', '--unidiff-zero', join(FOLDER, file)], {
      cwd: ROOT,
      stdio: 'pipe',
    })
    const text = readFileSync(join(FOLDER, file), 'utf8')
    const [, path = ''] = /^Fails: \w+ (.+)$/m.exec(text) ?? []
    expect(text).toMatch(/^Breaks: .+$/m)
    const [, name = ''] = /^Test: (.+)$/m.exec(text) ?? []
    expect(
      TEXTS.some(title => isTitleOf(title, name)),
      `a test is called ${name}`,
    ).toBe(true)
    expect(path).toMatch(/[.]test[.]ts$/)
    expect(readFileSync(join(ROOT, path), 'utf8')).not.toBe('')
  })
})

/** True if the title has the name, or begins as the name does up to the first value that is filled in. */
function isTitleOf(title: string, name: string): boolean {
  if (title.includes(name)) return true
  const [fixed = ''] = title.split(/%[a-z]|\$/)
  return fixed.length >= 10 && fixed !== title && name.startsWith(fixed)
}
