/** No folder of sources is overfull: one that holds more files than a reader can survey is several ideas. */
import { globSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { isProduction } from './dead-code.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MOST = 15

/** The folders with more production files than they may have, each with how many it has. */
function fullFolders(files: readonly string[]): { readonly [folder: string]: number } {
  const counts = new Map<string, number>()
  for (const file of files.filter(isProduction)) {
    const folder = posix.dirname(file)
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  return Object.fromEntries([...counts].filter(([, count]) => count > MOST))
}

const filesIn = (folder: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${folder}/file-${index}.ts`)

describe('a folder', () => {
  it('is full with more than fifteen production files', () => {
    const files = [...filesIn('libs/flow/src', 16), ...filesIn('libs/domain/src', 15)]
    expect(fullFolders(files)).toEqual({ 'libs/flow/src': 16 })
  })

  it('is not full by tests, suites of promises, or files in folders of its own', () => {
    const tests = filesIn('libs/flow/src', 9).map(file => file.replace('.ts', '.test.ts'))
    const files = [...filesIn('libs/flow/src', 15), ...tests, ...filesIn('libs/flow/test', 16)]
    expect(fullFolders([...files, ...filesIn('libs/flow/src/waits', 15)])).toEqual({})
  })

  it('of this repository is not full', () => {
    const files = globSync('{libs,services}/**/*.{ts,tsx}', {
      cwd: ROOT,
      exclude: path => path.includes('node_modules'),
    }).map(path => path.replaceAll('\\', '/'))
    expect(fullFolders(files), 'sort it into folders, one for an idea').toEqual({})
  })
})
