/** `sluice diff --run`: the next runs of all syncs as Markdown, for a pull request. */
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { ChangesView } from '@sluice/contracts/api/resources'
import { isSluiceError } from '@sluice/contracts/errors'
import type { Op } from '@sluice/contracts/state'
import type { Control, Preview, Previewed } from '@sluice/control/port'
import { exitCodeOfError, EXIT, worstExitCode, type ExitCode } from '../exit-codes.ts'
import { diffMarkdown, type NextRunShown, type NotForeseen } from '../output/diff-markdown.ts'
import type { CommandContext } from '../command.ts'

/** Requests beyond this many are not counted. */
const MAX_COUNTED = 10_000
/** The output shows this many requests of each trigger. */
const MAX_SHOWN = 2

type WrittenResource = InputOf<'applyResources'>['resources'][number]

/**
 * Prints the changes of resources, and what the next run of each sync would send with them. `documents` are
 * the resources of the folder, which take the place of those that are stored.
 */
export async function diffRuns(
  { json, stdout, signal }: CommandContext,
  control: Control,
  {
    changes,
    syncs,
    documents,
  }: {
    readonly changes: ChangesView
    readonly syncs: readonly string[]
    readonly documents: readonly WrittenResource[]
  },
): Promise<ExitCode> {
  const written = documents.map(document => ({ ...document }))
  const runs: (NextRunShown | NotForeseen)[] = []
  for (const sync of syncs) {
    try {
      await using next = await control.preview('previewDocuments', { sync, documents: written }, { signal })
      runs.push(await shownOf(sync, next))
    } catch (error) {
      if (!isSluiceError(error) || isSluiceError(error, 'aborted')) throw error
      runs.push({ sync, error })
    }
  }
  stdout.write(json ? `${JSON.stringify(viewOf(changes, runs))}\n` : diffMarkdown(changes, runs))
  return worstExitCode(runs.map(run => ('error' in run ? exitCodeOfError(run.error.code) : EXIT.success)))
}

async function shownOf(sync: string, next: Preview): Promise<NextRunShown> {
  const byTrigger = new Map<Op, Previewed[]>()
  let requests = 0
  for await (const request of next.requests) {
    if (requests === MAX_COUNTED) break
    requests += 1
    const some = byTrigger.get(request.trigger) ?? []
    if (some.length < MAX_SHOWN) byTrigger.set(request.trigger, [...some, request])
  }
  const { counts, rowsRead, rowsInvalid, notices } = next
  const shown = [...byTrigger.values()].flat()
  return { sync, counts, rowsRead, rowsInvalid, notices, requests, more: requests === MAX_COUNTED, shown }
}

function viewOf({ changes }: ChangesView, runs: readonly (NextRunShown | NotForeseen)[]): object {
  return {
    changes: changes.map(({ kind, name, action, fields }) => ({ kind, name, action, fields })),
    runs: runs.map(run =>
      'error' in run ? { sync: run.sync, error: { code: run.error.code, message: run.error.message } } : run,
    ),
  }
}
