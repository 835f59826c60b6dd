/**
 * No code without a reader. Every rule of dead-code.ts is proved by a violation in a small imagined
 * repository, and holds in ours.
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { findDeadCode } from './dead-code.ts'
import type { DeadCode } from './dead-code.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const ORACLE = 'of the oracle of the tests: what the SQL of the delivered state has to decide'

/** Used by what no import shows, or kept on purpose: each with its reason. */
const KEPT: { readonly [place: string]: string } = {
  'test/services.ts#setup': 'vitest calls it, as its globalSetup',
  'libs/domain/src/key-state.ts#decide': ORACLE,
  'libs/domain/src/key-state.ts#resynced': ORACLE,
  'libs/domain/src/key-state.ts#replayed': ORACLE,
  'libs/templates/src/filters/filter-signatures.ts#SIGNED_FILTERS':
    'a test compares it with the filters there are',
}

function repository(): ReadonlyMap<string, string> {
  const paths = globSync('{libs,services,test,deploy}/**/*.{ts,tsx}', {
    cwd: ROOT,
    exclude: path => path.includes('node_modules'),
  })
  const files = [...paths, 'vitest.config.ts'].map(path => path.replaceAll('\\', '/')).sort()
  return new Map(files.map(path => [path, readFileSync(join(ROOT, path), 'utf8')]))
}

/** What lives, each in a way of its own. */
const LIVING = {
  'services/cli/src/main.ts': `import { run } from './run.ts'
    import * as paint from './paint.ts'
    run(paint.red)`,
  'services/cli/src/run.ts': `import type { Code } from '@sluice/contracts/code'
    export interface RunOptions { readonly code: Code }
    export const limit = 3
    export const run = (options: RunOptions) => [import('./late.ts'), new URL('./worker.ts', import.meta.url), limit]`,
  'services/cli/src/run.test.ts': `import { limit } from './run.ts'\nconsole.log(limit)`,
  'services/cli/src/paint.ts': `export const red = 'red'`,
  'services/cli/src/late.ts': `export { code as late } from '@sluice/contracts/code'`,
  'services/cli/src/worker.ts': `console.log('works')`,
  'libs/contracts/src/code.ts': `export type Code = string\nexport const code: Code = ''`,
  'libs/contracts/test/contract.ts': `export const suite = () => undefined`,
  'libs/contracts/src/contract.test.ts': `import { suite } from '../test/contract.ts'\nsuite()`,
}

const PLANTED: readonly (readonly [
  what: string,
  dead: DeadCode,
  files: { readonly [path: string]: string },
])[] = [
  [
    'a production file that nothing imports',
    { why: 'unreached-file', file: 'libs/flow/src/channel.ts', name: null },
    { 'libs/flow/src/channel.ts': `export const channel = () => undefined` },
  ],
  [
    'a production file that only its test imports',
    { why: 'unreached-file', file: 'libs/flow/src/channel.ts', name: null },
    {
      'libs/flow/src/channel.ts': `export const channel = () => undefined`,
      'libs/flow/src/channel.test.ts': `import { channel } from './channel.ts'\nchannel()`,
    },
  ],
  [
    'a production file that only a dead one imports',
    { why: 'unreached-file', file: 'libs/flow/src/queue.ts', name: null },
    {
      'libs/flow/src/channel.ts': `import { queue } from './queue.ts'\nexport const channel = queue`,
      'libs/flow/src/queue.ts': `export const queue = []`,
    },
  ],
  [
    'an export that nothing uses',
    { why: 'unused-export', file: 'libs/contracts/src/code.ts', name: 'other' },
    { 'libs/contracts/src/code.ts': `${LIVING['libs/contracts/src/code.ts']}\nexport const other = 1` },
  ],
  [
    'an export that only a test uses',
    { why: 'unused-export', file: 'libs/contracts/src/code.ts', name: 'other' },
    {
      'libs/contracts/src/code.ts': `${LIVING['libs/contracts/src/code.ts']}\nexport function other() {}`,
      'libs/contracts/src/code.test.ts': `import { other } from './code.ts'\nother()`,
    },
  ],
  [
    'a type that nothing uses',
    { why: 'unused-export', file: 'libs/contracts/src/code.ts', name: 'Other' },
    { 'libs/contracts/src/code.ts': `${LIVING['libs/contracts/src/code.ts']}\nexport interface Other {}` },
  ],
  [
    'an export that only its own file uses',
    { why: 'needless-export', file: 'libs/contracts/src/code.ts', name: 'other' },
    {
      'libs/contracts/src/code.ts': `export type Code = string
        export const { other } = { other: '' }
        export const code: Code = other`,
    },
  ],
  [
    'an export of the tests that none of them uses',
    { why: 'unused-export', file: 'test/e2e/profiles.ts', name: 'profile' },
    { 'test/e2e/profiles.ts': `export const profile = 1` },
  ],
]

describe('dead code', () => {
  it.each(PLANTED)('is %s', (_what, dead, files) => {
    expect(findDeadCode(new Map(Object.entries({ ...LIVING, ...files })))).toContainEqual(dead)
  })

  it('is nothing that is imported, loaded late, started as a worker, tested, or the type of an export', () => {
    expect(findDeadCode(new Map(Object.entries(LIVING)))).toEqual([])
  })

  it('is not in this repository', () => {
    const places = findDeadCode(repository()).map(({ why, file, name }) =>
      name === null ? `${why} ${file}` : `${why} ${file}#${name}`,
    )
    const unexpected = places.filter(place => KEPT[place.slice(place.indexOf(' ') + 1)] === undefined)
    expect(unexpected, 'remove it, or the word `export`, or import it').toEqual([])
    expect(places.length - unexpected.length, 'strike what is no longer dead from KEPT').toBe(
      Object.keys(KEPT).length,
    )
  })
})
