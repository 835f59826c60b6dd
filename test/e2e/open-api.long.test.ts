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
const run = promisify(execFile)

/** Where the checker is installed; null where Python or PyPI is missing, which CI does not take. */
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

describe.skipIf(checker === null)('the API as its document describes it', () => {
  let report = ''
  beforeAll(async () => {
    await using api = await startScriptedApi()
    await using served = await servedFolder(api, { SLUICE_TOKEN: TOKEN })
    const command = [
      ...['run', `${served.url}/api/v1/openapi.json`, '--header', `Authorization: Bearer ${TOKEN}`],
      ...['--phases', 'examples,coverage,fuzzing', '--max-examples', '10', '--max-time', '60'],
      // A stream has no end that the checker could wait for.
      ...['--exclude-path', '/api/v1/runs/{id}/events', '--checks', CHECKS.join(','), '--no-color'],
    ]
    report = await run(join(checker ?? '', 'bin/schemathesis'), command, {
      maxBuffer: 64 * 1024 * 1024,
      // It keeps files where it runs.
      cwd: checker ?? '',
    }).then(
      ({ stdout }) => stdout,
      (error: { stdout?: string }) => error.stdout ?? '',
    )
  })
  afterAll(async () => {
    if (checker !== null) await rm(checker, { recursive: true })
  })

  it('has no answer that the document does not know', () => {
    expect(report).toContain('Test cases:')
    // Input that is too long is refused as such, which the checker takes for accepted.
    const cases = report.split(/^\d+\. Test Case ID/m).filter(text => !/^\[(413|414|431)\] /m.test(text))
    const failures = cases.flatMap(text => {
      const found = [...text.matchAll(/^- ST\d+ .*$/gm)].map(([failure]) => failure)
      return found.length === 0 ? [] : [`${found.join('\n')}\n${text.slice(0, 1_000)}`]
    })
    expect(failures).toEqual([])
  })
})
