/** The planted bugs of `npm run test:mutants` fit the sources as they are. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = join(ROOT, 'test/mutants')

const PATCHES = readdirSync(FOLDER).filter(file => file.endsWith('.patch'))
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
    expect(text).toMatch(/^Test: .+$/m)
    expect(path).toMatch(/[.]test[.]ts$/)
    expect(readFileSync(join(ROOT, path), 'utf8')).not.toBe('')
  })
})
