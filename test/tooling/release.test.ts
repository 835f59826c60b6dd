/** One version stands in all packages and in the changelog. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { LAST_RELEASE } from '../e2e/last-release.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const manifest = z.object({ name: z.string(), version: z.string() })

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const manifestOf = (file: string): z.output<typeof manifest> => manifest.parse(JSON.parse(read(file)))
const { version } = manifestOf('package.json')

it('all packages have the version of the root', () => {
  const files = globSync(['{libs,services}/*/package.json', 'test/package.json'], { cwd: ROOT })
  expect(files.length).toBeGreaterThan(20)
  const others = files.map(manifestOf).filter(each => each.version !== version)
  expect(others).toEqual([])
})

it('the changelog begins with what is unreleased, and then with this version and its date', () => {
  const [first, second] = read('CHANGELOG.md').match(/^## .*/gm) ?? []
  expect(first).toBe('## Unreleased')
  expect(second?.replace(/\d{4}-\d{2}-\d{2}$/, 'DATE')).toBe(`## ${version} – DATE`)
})

it('the last release is an earlier one, with a section of the changelog', () => {
  expect(LAST_RELEASE.version).not.toBe(version)
  expect(read('CHANGELOG.md')).toContain(`\n## ${LAST_RELEASE.version} – `)
})
