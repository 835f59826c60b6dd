/** `npm run demo` shows the output that the README quotes. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
/** Removes text that differs from one time to the next, and blanks at the ends of lines. */
const MASKS: readonly (readonly [what: RegExp, mask: string])[] = [
  [/ +$/gm, ''],
  [/\d+(\.\d+)? (s|ms)(?= )/g, 'TIME'],
  [/\b01[0-9A-Z]{24}\b/g, 'RUN'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'SINCE'],
]

function masked(text: string): string {
  return MASKS.reduce((rest, [what, mask]) => rest.replaceAll(what, mask), text)
}

describe('the demo', () => {
  it('shows what the README quotes', async () => {
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
    const quoted = [...readme.matchAll(/^```\n(\d .*?)^```$/gms)].map(([, text = '']) => text)
    const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'demo'], { cwd: ROOT })
    expect(quoted.length).toBe(2)
    const steps = quoted.flatMap(text => text.split(/^(?=\d {2})/m)).map(text => masked(text).trim())
    expect(steps.length).toBeGreaterThan(3)
    for (const step of steps) expect(masked(stdout)).toContain(step)
  })
})
