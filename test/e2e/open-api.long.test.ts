/**
 * A checker of APIs from PyPI walks every operation of a running server with right and wrong input. It finds
 * answers outside of the OpenAPI document, and faults of the server.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { ensurePrograms } from '../../deploy/local/install.ts'
import { servedFolder } from './one-folder.ts'

const CHECKER = 'schemathesis==4.32.5'
const TOKEN = 'a-token-that-writes'
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'response_headers_conformance',
  'negative_data_rejection',
  'unsupported_method',
]
/** Further ones, by input that covers each field, the same each time. */
const ALL_CHECKS = [
  ...CHECKS,
  'positive_data_acceptance',
  'missing_required_header',
  'ignored_auth',
  'use_after_free',
  'ensure_resource_availability',
  'allow_header_conformance',
]

/** The checker takes these for faults, and they are none: a text of the answer, and why. */
const EXPLAINED: readonly (readonly [answer: RegExp, why: string])[] = [
  [/^\[(413|414|431)\] /m, 'input that is too long is refused as such, which the checker takes for accepted'],
  [/^\[422\] /m, 'the form of the input is right and its meaning is not, which the document has 422 for'],
  [/is not a cursor/, 'a cursor comes from an earlier page'],
  [/wanted either `\w+` or `\w+`/, 'of two fields one is wanted, as their descriptions say'],
  [/has no login in the browser/, 'only some destinations have a login'],
  [/The end of a token lies in the future/, 'a token ends later than now'],
  [/The rows of a group have one status/, 'a group of failed rows has its status'],
]
/** Some 1,300 requests, one after another. */
const WITHIN_MS = 600_000
const run = promisify(execFile)

/** The folder of the checker; null where Python or PyPI is missing, which fails in CI. */
async function installed(): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-checker-'))
  try {
    await makeEnvironment(folder)
    await run(join(folder, 'bin/pip'), ['install', '--quiet', CHECKER])
    return folder
  } catch (error) {
    await rm(folder, { recursive: true })
    if (process.env['CI'] !== undefined) throw error
    return null
  }
}

/** Debian's Python comes without the part that makes environments. */
async function makeEnvironment(folder: string): Promise<void> {
  try {
    await run('python3', ['-m', 'venv', folder])
  } catch (error) {
    if (process.env['CI'] === undefined) throw error
    await ensurePrograms([{ command: 'virtualenv', debianPackage: 'virtualenv' }])
    await run('virtualenv', ['--clear', folder])
  }
}

const checker = await installed()

interface Report {
  readonly text: string
  readonly selected: string
  readonly tested: string
  /** Cases that nothing explains. */
  readonly failures: readonly string[]
}

async function check(url: string, ...options: readonly string[]): Promise<Report> {
  const command = [
    ...['run', `${url}/api/v1/openapi.json`, '--header', `Authorization: Bearer ${TOKEN}`, '--no-color'],
    // A stream has no end that the checker could wait for.
    ...['--exclude-path', '/api/v1/runs/{id}/events', ...options],
  ]
  const text = await run(join(checker ?? '', 'bin/schemathesis'), command, {
    maxBuffer: 64 * 1024 * 1024,
    // It keeps files where it runs.
    cwd: checker ?? '',
  }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout ?? '',
  )
  const failures = text.split(/^\d+\. Test Case ID/m).flatMap(part => {
    const found = [...part.matchAll(/^- ST\d+ .*$/gm)].map(([failure]) => failure)
    const isExplained = EXPLAINED.some(([answer]) => answer.test(part))
    return found.length === 0 || isExplained ? [] : [`${found.join('\n')}\n${part.slice(0, 1_000)}`]
  })
  const [, selected = '', all = ''] = /Selected: (\d+)\/(\d+)/.exec(text) ?? []
  expect(Number(all) - Number(selected), text.slice(-2_000)).toBe(1)
  return { text, selected, tested: /Tested: (\d+)/.exec(text)?.[1] ?? '', failures }
}

describe.skipIf(checker === null)('the API as its document describes it', () => {
  const closing = new AsyncDisposableStack()
  let url: string
  beforeAll(async () => {
    const api = closing.use(await startScriptedApi())
    url = closing.use(await servedFolder(api, { SLUICE_TOKEN: TOKEN })).url
  })
  afterAll(async () => {
    await closing.disposeAsync()
    if (checker !== null) await rm(checker, { recursive: true })
  })

  it(
    'takes and refuses of every operation what the document says, but for what is explained',
    async () => {
      const options = [
        '--phases',
        'examples,coverage',
        '--generation-deterministic',
        '--checks',
        ALL_CHECKS.join(),
      ]
      const report = await check(url, ...options)
      expect(report.failures).toEqual([])
      expect(report.tested, report.text.slice(-2_000)).toBe(report.selected)
    },
    WITHIN_MS,
  )

  it(
    'has no answer to random input that the document does not know',
    async () => {
      const few = ['--max-examples', '10', '--max-time', '60']
      const report = await check(url, '--phases', 'fuzzing', ...few, '--checks', CHECKS.join())
      expect(report.text).toContain('Test cases:')
      expect(report.failures).toEqual([])
    },
    WITHIN_MS,
  )
})
