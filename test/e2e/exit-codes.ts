/**
 * The JSON output and exit code of every command, as one table for all three places: a folder, a server and
 * Kafka. It reads like the pages that people read.
 */
import { expect } from 'vitest'
import {
  attemptsPage,
  attemptView,
  errorBody,
  failedPage,
  previewView,
  runsPage,
  runView,
  secretRemovedView,
  secretsResealedView,
  secretSetView,
  secretsView,
  syncsPage,
  validateView,
} from '@sluice/contracts/api'
import { destinationsPage } from '@sluice/contracts/api/operating'
import { doctorView, topicsView, upgradeView } from '@sluice/contracts/operator-views'
import { alertsView } from '@sluice/contracts/specs/alert-views'
import { rowLifeView } from '@sluice/contracts/views/history-views'
import { z } from 'zod'
import type { Finished } from './project-folder.ts'

export type Place = 'a folder' | 'a server' | 'Kafka'

interface Case {
  /** Words of the command line; RUN is the id of the last run. */
  readonly command: string
  readonly exits: 0 | 2 | 3
  readonly prints: z.ZodType
  readonly stdin?: string
  /** Default: all places. */
  readonly in?: readonly Place[]
}

const runs = z.array(runView)
const HERE: readonly Place[] = ['a folder', 'Kafka']

/** In order: each command finds what the earlier ones have left. Row 2 is refused by the API. */
export const CASES: readonly Case[] = [
  { command: 'version', exits: 0, prints: z.strictObject({ version: z.string(), node: z.string() }) },
  { command: 'schema', exits: 0, prints: z.object({ $schema: z.string() }) },
  { command: 'completion bash', exits: 0, prints: z.strictObject({ shell: z.string(), script: z.string() }) },
  { command: 'validate', exits: 0, prints: validateView, in: HERE },
  { command: 'topics --print', exits: 0, prints: topicsView },
  { command: 'test', exits: 2, prints: errorBody },
  { command: 'topics', exits: 2, prints: errorBody },
  { command: 'service delivery', exits: 2, prints: errorBody },
  { command: 'preview people', exits: 0, prints: previewView },
  {
    command: 'preview people --trigger removed',
    exits: 0,
    prints: previewView.extend({ sample: z.literal(true) }),
  },
  { command: 'preview nobody', exits: 2, prints: errorBody },
  { command: 'send people --key 1 --trigger added --yes', exits: 0, prints: attemptView },
  { command: 'send people --key 2 --trigger added --yes', exits: 3, prints: attemptView },
  { command: 'send people --key 9 --trigger added --yes', exits: 2, prints: errorBody },
  { command: 'send people --key 1 --trigger added', exits: 2, prints: errorBody },
  { command: 'syncs', exits: 0, prints: syncsPage },
  { command: 'destinations', exits: 0, prints: destinationsPage },
  { command: 'destinations --limit 0', exits: 2, prints: errorBody },
  { command: 'runs', exits: 0, prints: runsPage },
  { command: 'run people', exits: 3, prints: runView.required({ errors: true }) },
  { command: 'row people --key 1', exits: 0, prints: rowLifeView },
  { command: 'run people nobody', exits: 2, prints: errorBody },
  { command: 'run --all', exits: 3, prints: runs },
  { command: 'runs people --limit 1', exits: 0, prints: runsPage },
  { command: 'runs show RUN', exits: 0, prints: runView.required({ errors: true }) },
  { command: 'runs show NONE', exits: 2, prints: errorBody },
  { command: 'attempts --run RUN', exits: 0, prints: attemptsPage },
  { command: 'attempts --sync nobody', exits: 2, prints: errorBody },
  { command: 'failed people', exits: 0, prints: failedPage.required({ groups: true }) },
  { command: 'failed people --status 500', exits: 0, prints: failedPage },
  { command: 'retry people --key 2', exits: 3, prints: runView },
  { command: 'discard people --key 2', exits: 0, prints: runView },
  { command: 'resync people --as changed', exits: 3, prints: runView },
  { command: 'diff', exits: 0, prints: z.object({ changes: z.array(z.unknown()) }), in: HERE },
  { command: 'apply', exits: 0, prints: z.object({ changes: z.array(z.unknown()) }), in: HERE },
  { command: 'history sync/people', exits: 0, prints: z.object({}), in: HERE },
  { command: 'history sync/nobody', exits: 2, prints: errorBody },
  { command: 'rollback sync/nobody', exits: 2, prints: errorBody },
  { command: 'replay people', exits: 2, prints: errorBody },
  { command: 'replay people --run RUN --dry-run', exits: 0, prints: z.object({}) },
  { command: 'cancel RUN', exits: 2, prints: errorBody },
  { command: 'approve RUN', exits: 2, prints: errorBody },
  { command: 'reset people', exits: 0, prints: runView },
  {
    command: 'secret set token --for 127.0.0.1',
    stdin: 'a-value-of-a-token',
    exits: 0,
    prints: secretSetView,
  },
  { command: 'secret list', exits: 0, prints: secretsView },
  { command: 'secret reseal', exits: 0, prints: secretsResealedView },
  { command: 'secret remove token', exits: 0, prints: secretRemovedView },
  { command: 'secret remove token', exits: 2, prints: errorBody },
  { command: 'auth api', exits: 2, prints: errorBody },
  { command: 'alerts', exits: 0, prints: alertsView },
  { command: 'alerts test nothing', exits: 2, prints: errorBody },
  { command: 'doctor', exits: 0, prints: doctorView },
  { command: 'upgrade --check', exits: 0, prints: upgradeView, in: HERE },
  { command: 'upgrade', exits: 2, prints: errorBody },
  {
    command: 'backup copies',
    exits: 0,
    prints: z.strictObject({ dir: z.string(), at: z.iso.datetime(), key: z.literal(false) }),
    in: ['a folder'],
  },
  { command: 'restore nowhere', exits: 2, prints: errorBody },
  { command: 'nonsense', exits: 2, prints: errorBody },
]

/** Calls all of them, and compares each answer with the table. */
export async function playCases(
  place: Place,
  call: (words: readonly string[], stdin: string) => Promise<Finished>,
): Promise<void> {
  let run = ''
  for (const { command, exits, prints, stdin = '', in: places } of CASES) {
    if (places?.includes(place) === false) continue
    const words = command.split(' ').map(word => (word === 'RUN' ? run : word))
    const { exitCode, stdout } = await call([...words, '--json'], stdin)
    expect([command, exitCode, stdout]).toEqual([command, exits, stdout])
    const document: unknown = JSON.parse(stdout)
    expect([command, prints.safeParse(document).error?.message]).toEqual([command, undefined])
    run = idOf(document) ?? run
  }
}

function idOf(document: unknown): string | null {
  const read = runView.safeParse(Array.isArray(document) ? document.at(-1) : document)
  return read.success ? read.data.id : null
}
