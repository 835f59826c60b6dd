/** `sluice test`. */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { asExpected, differences } from '@sluice/project/sync-tests/compare-requests'
import { loadUsable } from '@sluice/project/load-project'
import { namesOf, resolveDefinition, type Project } from '@sluice/project/project'
import { readSyncTests, withRequests, type SyncTests } from '@sluice/project/sync-tests/read-sync-tests'
import type { CaseRun, SyncTesting } from '@sluice/project/sync-tests/sync-testing'
import type { ExpectedRequest, SyncTestCase } from '@sluice/project/sync-tests/sync-test-schema'
import { loggerFor } from '../cli-logger.ts'
import { booleanOption, textOption, type Command, type CommandContext } from '../command.ts'
import { openTesting } from '../compose.ts'
import { EXIT } from '../exit-codes.ts'
import { LABEL_OPTION } from '../history-options.ts'
import { syncsWith, unknownSync } from '@sluice/control/unknown-names'
import { isRight, junitText, testLine, testsEnd, type CaseResult } from '../output/test-report.ts'
import { painter } from '../output/paint.ts'

export const command: Command = {
  description:
    'Runs the tests of syncs: the cases in the *.test.yaml files of the project. Each case gives rows, answers of the API, and the requests that must be sent. ' +
    'The whole pipeline runs in this process. It reads no source and sends nothing, and it needs no secrets: the value of each is its name.\n' +
    'With --update it writes the requests of each run into the files, in place of those that the case expects. Look at the difference before you keep it.',
  positionals: [{ name: 'SYNC', required: false, repeats: true, help: 'only the tests of these syncs' }],
  options: {
    label: { ...LABEL_OPTION, help: 'only the tests of syncs with this label' },
    update: { type: 'boolean', help: 'write the requests that are sent into the files' },
    junit: { type: 'text', value: 'FILE', help: 'also write a report in the XML of JUnit, for CI' },
  },
  readsFolder: true,
  exits: { 0: 'all cases passed', 1: 'a case failed', 2: 'there are mistakes in the project or its tests' },
  examples: [
    { command: 'sluice test', does: 'run all tests of the project' },
    { command: 'sluice test customers --update', does: 'take over what the sync customers sends now' },
    { command: 'sluice test --junit report.xml', does: 'run them in CI' },
  ],
  async run(context) {
    const { args, dir, cwd, env, signal, json, stdout } = context
    const project = await loadUsable(dir, { env, signal })
    const all = await readSyncTests(dir, signal)
    if (textOption(args, 'label') !== undefined && args.positionals.length > 0)
      throw new SluiceError('usage', '`--label` chooses the syncs: name none beside it.')
    const known = namesOf(project, 'sync')
    for (const name of args.positionals) if (!known.includes(name)) throw unknownSync(name, known)
    const wanted = new Set(
      args.positionals.length > 0 ? args.positionals : labelled(textOption(args, 'label'), project),
    )
    const files = all.filter(({ sync }) => wanted.size === 0 || wanted.has(sync))
    if (files.length === 0) throw noTests([...wanted])
    assertSyncsKnown(files, project)
    const startedAt = performance.now()
    const results = await runFiles(context, project, files)
    for (const file of files) {
      const ofFile = results.filter(result => result.file === file.file)
      await update(dir, file, ofFile)
    }
    const report = textOption(args, 'junit')
    if (report !== undefined) await writeFile(resolve(cwd, report), junitText(results))
    if (json) stdout.write(`${JSON.stringify(viewOf(results))}\n`)
    else stdout.write(testsEnd(results, performance.now() - startedAt, painter(context.color)))
    return results.every(isRight) ? EXIT.success : EXIT.failed
  },
}

/** The names of the syncs with the label, or of none without a label. Throws if no sync has the label. */
function labelled(label: string | undefined, project: Project): readonly string[] {
  if (label === undefined) return []
  const syncs = [...project.resources.values()].filter(spec => spec.kind === 'sync')
  return syncsWith(
    label,
    syncs.map(({ name, labels = [] }) => ({ name, labels })),
  )
}

/** Throws `config` for files about a sync that the project does not have, or that has mistakes. */
function assertSyncsKnown(files: readonly SyncTests[], project: Project): void {
  const details = files.flatMap(({ file, sync }) => {
    try {
      resolveDefinition(project, sync)
      return []
    } catch (error) {
      const message = messageOf(error)
      const own = isSluiceError(error, 'config') ? error.details : []
      return [{ file, line: 1, column: 1, field: 'sync', message }, ...own]
    }
  })
  if (details.length > 0)
    throw new SluiceError('config', 'The tests name syncs that cannot be run.', { details })
}

function noTests(syncs: readonly string[]): SluiceError {
  const whose = syncs.length === 0 ? 'The project has no tests' : `There are no tests of ${syncs.join(', ')}`
  return new SluiceError(
    'usage',
    `${whose}: write a file such as \`customers.test.yaml\` with \`sync\` and \`cases\` (docs/reference/tests.md).`,
  )
}

/** Cases that run at the same time. With more than these, the process' main thread is busy all the time. */
const MAX_AT_ONCE = 3

/** Runs all cases, and prints the line of each in the order of the files. */
async function runFiles(
  context: CommandContext,
  project: Project,
  files: readonly SyncTests[],
): Promise<readonly CaseResult[]> {
  const { json, stdout, color, signal, args } = context
  const updates = booleanOption(args, 'update')
  const cases = files.flatMap(tests => tests.cases.map((_, index) => ({ tests, index })))
  const results: CaseResult[] = []
  const logger = await loggerFor(context)
  const waiting = cases.entries()
  const failed = new AbortController()
  const work = async (): Promise<void> => {
    await using testing = await openTesting(project, { logger, signal })
    for (const [place, { tests, index }] of waiting) {
      AbortSignal.any([signal, failed.signal]).throwIfAborted()
      results[place] = await runCase(testing, tests, { index, updates })
      if (!json) print()
    }
  }
  let printed = 0
  const print = (): void => {
    for (let result = results[printed]; result !== undefined; result = results[printed]) {
      stdout.write(testLine(result, results[printed - 1]?.file !== result.file, painter(color)))
      printed += 1
    }
  }
  const lanes = Array.from({ length: Math.min(MAX_AT_ONCE, cases.length) }, async () => {
    await work().catch((error: unknown) => {
      failed.abort(error)
      throw error
    })
  })
  await Promise.all(lanes).finally(() => Promise.allSettled(lanes))
  return results
}

async function runCase(
  testing: SyncTesting,
  tests: SyncTests,
  { index, updates }: { readonly index: number; readonly updates: boolean },
): Promise<CaseResult> {
  const { sync, file } = tests
  const test = tests.cases[index]
  if (test === undefined) throw new SluiceError('internal', `${file} has no case ${index}`)
  const startedAt = performance.now()
  const outcome = await runOf(testing, sync, { ...test, types: { ...tests.types, ...test.types } })
  const ms = performance.now() - startedAt
  const found = judged(test, outcome)
  const isNew = found.differences.length > 0 || test.requests === undefined
  const written = updates && found.requests !== null && isNew
  return { file, line: tests.lines[index] ?? 1, sync, name: test.name, ms, ...found, written }
}

async function runOf(testing: SyncTesting, sync: string, test: SyncTestCase): Promise<CaseRun | SluiceError> {
  try {
    return await testing.run(sync, test)
  } catch (error) {
    if (isSluiceError(error, 'aborted') || !isSluiceError(error)) throw error
    return error
  }
}

function judged(
  { requests, status }: SyncTestCase,
  outcome: CaseRun | SluiceError,
): Pick<CaseResult, 'problems' | 'differences' | 'requests'> {
  if (outcome instanceof SluiceError) return { problems: [outcome.message], differences: [], requests: null }
  const { run, unsent } = outcome
  const problems: string[] = []
  const isWrong = status === undefined ? run.status === 'failed' || unsent.length > 0 : run.status !== status
  if (isWrong) {
    const reasons = [...(run.error === null ? [] : [run.error]), ...new Set(unsent)]
    const wanted = status === undefined ? '' : `, wanted ${status}`
    problems.push([`the run has the status ${run.status}${wanted}`, ...reasons].join(': '))
  }
  const names = [...new Set((requests ?? []).flatMap(({ headers }) => Object.keys(headers ?? {})))]
  return {
    problems,
    differences:
      requests === undefined || run.status === 'failed' ? [] : differences(requests, outcome.requests),
    requests: outcome.requests.map(request => asExpected(request, names)),
  }
}

/** Writes the requests of the cases that are to be written into their file. */
async function update(dir: string, file: SyncTests, results: readonly CaseResult[]): Promise<void> {
  const changed = new Map<number, readonly ExpectedRequest[]>()
  for (const [index, { requests, written }] of results.entries())
    if (requests !== null && written) changed.set(index, requests)
  if (changed.size > 0) await writeFile(join(dir, file.file), withRequests(file, changed))
}

function viewOf(results: readonly CaseResult[]): object {
  const passed = results.filter(isRight).length
  const tests = results.map(({ ms, ...result }) => ({
    ...result,
    passed: isRight({ ...result, ms }),
    durationMs: Math.round(ms),
  }))
  return { passed, failed: results.length - passed, tests }
}
