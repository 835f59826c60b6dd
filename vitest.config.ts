import { globSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { defineConfig } from 'vitest/config'
import type { Plugin, TestProjectInlineConfiguration } from 'vitest/config'
import { startedAs, withAddresses } from './deploy/package/bundle.ts'
import { linkedBundle } from './deploy/package/linked-bundle.ts'
import { environmentOf } from './libs/runtime/bin/node-settings.mjs'
import { SlowFilesFirst } from './test/slow-files-first.ts'
import { SummaryReporter } from './test/summary-reporter.ts'

// For the processes of the tests, and those that they start: what was compiled once is not compiled again.
process.env['NODE_COMPILE_CACHE'] ??= environmentOf({})['NODE_COMPILE_CACHE'] ?? ''

/**
 * Processes and threads that tests start run from the bundle that the package has. It is made when the first
 * test wants it, and halves what the process of a query costs.
 */
const FROM_BUNDLE: Plugin = {
  name: 'from-bundle',
  enforce: 'pre',
  configureVitest({ defineCacheKeyGenerator }) {
    // Modules that name a file of this bundle are not for the cache of a later vitest, which makes its own.
    defineCacheKeyGenerator(({ id, sourceCode }) => (startsProcesses(sourceCode, id) ? false : undefined))
  },
  async transform(code, id) {
    if (!startsProcesses(code, id)) return null
    const folder = pathToFileURL(`${await linkedBundle()}/`).href
    return withAddresses(code, id, path => {
      const file = startedAs(path)
      return file === null ? null : folder + file
    })
  },
}

function startsProcesses(code: string, id: string): boolean {
  return withAddresses(code, id, startedAs) !== code
}

/**
 * A file with `.long` in its name, say `killed-run.long.test.ts` or `kafka.long.contract.test.ts`, is not for
 * `npm test`, which a contributor waits for many times a day. `npm run test:rest` runs those files alone,
 * `npm run test:all` runs all files. A file that the command line names runs in any case.
 */
const LONG = ['**/*.long.test.ts', '**/*.long.contract.test.ts']

type Part = 'short' | 'rest' | 'all'

function partOf(mode: string): Part {
  if (mode === 'rest' || mode === 'all') return mode
  return process.argv.some(argument => argument.includes('.long.')) ? 'all' : 'short'
}

/**
 * The suites of one place in the order run together, as many files at a time as `sideBySide` says. It is the
 * same for all of one place, and more than the two cores of a small machine where tests often wait.
 */
interface Suite {
  readonly name: string
  readonly folders: readonly string[]
  readonly place: number
  readonly sideBySide: number
  /**
   * Whether files share processes, which saves the loading of the modules. A test then gives back what it has
   * changed for all, such as timers and spies. Default: each file has a process of its own.
   */
  readonly shared?: boolean
  /** What is otherwise in `npm test`, which has no long files. */
  readonly inShort?: { readonly shared?: boolean }
  /** How long a test or a hook may take; default: vitest's own. */
  readonly testMs?: number
  readonly hookMs?: number
}

/** Only what hangs takes so long, also on a busy machine. */
const PATIENT = { testMs: 300_000, hookMs: 300_000 }

/**
 * unit: beside the source, no services. tooling: the house rules and the machinery of the tests. contract:
 * every adapter against its port's suite, on real services. e2e: whole pipelines. console: pages in a real
 * Chromium, which installs itself as the services do. fault: whole pipelines whose parts die; few run at a
 * time, for their time limits. outage: those whose parts stand still or are missing. Real services come from
 * test/services.ts, which starts what environment variables do not give.
 */
const SUITES: readonly Suite[] = [
  {
    ...{
      name: 'unit',
      folders: [
        'libs/*/{src,test}',
        'services/*/src',
        'services/*/web',
        'test/histories',
        'test/conformance',
      ],
      place: 0,
      sideBySide: 3,
    },
    ...{ testMs: 20_000, hookMs: 20_000, shared: true },
  },
  { name: 'tooling', folders: ['test/tooling'], place: 0, sideBySide: 3, testMs: 60_000, hookMs: 120_000 },
  { name: 'contract', folders: ['libs/*/src'], place: 0, sideBySide: 3, testMs: 60_000, hookMs: 120_000 },
  {
    ...{ name: 'e2e', folders: ['test/e2e', 'test/shapes'], place: 1, sideBySide: 4, ...PATIENT },
    inShort: { shared: true },
  },
  { name: 'console', folders: ['test/console'], place: 1, sideBySide: 4, ...PATIENT },
  { name: 'fault', folders: ['test/fault'], place: 2, sideBySide: 3, ...PATIENT },
  { name: 'outage', folders: ['test/outage'], place: 2, sideBySide: 3, ...PATIENT },
]
const SETUPS: { readonly [suite: string]: readonly string[] } = {
  ...Object.fromEntries(['contract', 'e2e', 'fault', 'outage'].map(name => [name, ['test/services.ts']])),
  console: ['services/console/web/build-web.mjs', 'test/services.ts'],
}

function projectOf(suite: Suite, part: Part): TestProjectInlineConfiguration {
  const { name, folders, place, testMs, hookMs } = suite
  const { sideBySide, shared = false } = { ...suite, ...(part === 'short' ? suite.inShort : {}) }
  const contract = name === 'contract' ? '.contract' : ''
  const long = part === 'rest' ? '.long' : ''
  return {
    plugins: [FROM_BUNDLE],
    test: {
      name,
      include: folders.map(folder => `${folder}/**/*${long}${contract}.test.ts`),
      exclude: [...(name === 'contract' ? [] : ['**/*.contract.test.ts']), ...(part === 'short' ? LONG : [])],
      globalSetup: [...(SETUPS[name] ?? [])],
      isolate: !shared,
      maxWorkers: sideBySide,
      sequence: { groupOrder: place },
      ...(testMs === undefined ? {} : { testTimeout: testMs }),
      ...(hookMs === undefined ? {} : { hookTimeout: hookMs }),
    },
  }
}

export default defineConfig(({ mode }) => {
  const part = partOf(mode)
  const leftOut = part === 'short' ? globSync(LONG, { exclude: path => path === 'node_modules' }) : []
  return {
    test: {
      reporters: ['default', new SummaryReporter({ leftOut })],
      maxWorkers: 4,
      sequence: { sequencer: SlowFilesFirst },
      projects: SUITES.map(suite => projectOf(suite, part)),
    },
  }
})
