/**
 * Ends a test run with one line, `N passed, N failed`, that people and machines read alike, after what the
 * run leaves to a longer one. Whatever is no passed test and no deliberate omission counts as failed: a file
 * that cannot be loaded, a broken hook, an error outside of any test. Under CI=true a skipped test or a run
 * without tests fails too, since nobody is there to notice it. The line is written when the process ends,
 * after everybody else's output, and to the file that `SLUICE_TEST_SUMMARY` names.
 */
import { writeFileSync, writeSync } from 'node:fs'
import type {
  Reporter,
  SerializedError,
  TestCase,
  TestModule,
  TestRunEndReason,
  TestSuite,
} from 'vitest/node'

export interface Summary {
  readonly passed: number
  readonly failed: number
  /** Full names of the tests that were not run: skipped, to do, or left out by `.only`. */
  readonly skipped: readonly string[]
}

function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`
}

function suitesOf(module: TestModule): readonly TestSuite[] {
  return [...module.children.allSuites()]
}

/** Adds up a finished run: its modules, and the errors that belong to no test. */
function summarize(modules: readonly TestModule[], errorsOutside: readonly SerializedError[]): Summary {
  let passed = 0
  let failed = errorsOutside.length
  const skipped: string[] = []
  for (const module of modules) {
    for (const holder of [module, ...suitesOf(module)]) failed += holder.errors().length
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') passed += 1
      else if (state === 'failed') failed += 1
      else skipped.push(nameOf(test))
    }
  }
  return { passed, failed, skipped }
}

/** Why a run that vitest may call passed does not count as such; null if it does. */
function objection(summary: Summary, reason: TestRunEndReason, ci: boolean): string | null {
  if (reason === 'interrupted') return 'The run was interrupted.'
  if (!ci) return null
  if (summary.passed + summary.failed === 0) return 'No test was run.'
  if (summary.skipped.length === 0) return null
  return `Not run, which fails under CI: ${summary.skipped.length} tests\n  ${summary.skipped.join('\n  ')}`
}

export interface SummaryOptions {
  /** Files that this run leaves to `npm run test:all`. */
  readonly leftOut?: readonly string[]
}

/** Names in one line the files that this run leaves out; null if there are none. */
function leftLine({ leftOut = [] }: SummaryOptions): string | null {
  if (leftOut.length === 0) return null
  const files = leftOut.length === 1 ? '1 long file' : `${leftOut.length} long files`
  return `Left for \`npm run test:all\`: ${files} (*.long.test.ts, *.long.contract.test.ts)`
}

export class SummaryReporter implements Reporter {
  readonly #options: SummaryOptions

  constructor(options: SummaryOptions = {}) {
    this.#options = options
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    errorsOutside: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    const summary = summarize(modules, errorsOutside)
    const objected = objection(summary, reason, process.env['CI'] === 'true')
    const fails = objected !== null || summary.failed > 0
    const line = `${summary.passed} passed, ${summary.failed} failed\n`
    process.once('exit', () => {
      if (fails) process.exitCode ||= 1
      const told = [leftLine(this.#options), objected].filter(text => text !== null)
      writeSync(1, `\n${told.map(text => `${text}\n`).join('')}${line}`)
      const file = process.env['SLUICE_TEST_SUMMARY']
      if (file !== undefined) writeFileSync(file, line)
    })
  }
}
