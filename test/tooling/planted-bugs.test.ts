/** The planted bugs of `npm run test:mutants` fit the sources as they are. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = join(ROOT, 'test/mutants')

describe('the planted bug', () => {
  it.each(readdirSync(FOLDER).filter(file => file.endsWith('.patch')))(
    '%s applies, and names its test',
    file => {
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
    },
  )
})
