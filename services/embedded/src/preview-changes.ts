/** A preview of the next run, as people see it. */
import type { Definition } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import type { Op } from '@sluice/contracts/state'
import type { NextChanges } from '@sluice/change-detector/detect/next-changes'
import { undecidedNotice } from '@sluice/change-detector/run/notices'
import type { FoundRequest, NextRun } from '@sluice/control/runs/next-run'
import { shownRequest } from '@sluice/delivery/destination/shown-request'
import { resolveTarget, type Target } from '@sluice/delivery/destination/target'
import { changeOf } from '@sluice/domain/held/delivered-to'
import { needsApproval } from '@sluice/domain/held/removal-guard'
import { renderChanges, type RenderChanges } from '@sluice/templates/rendering/render-changes'
import type { KnownSecrets } from './folder-secrets.ts'

export interface Previewing {
  readonly next: NextChanges
  readonly definition: Definition
  /** The destination, with its secrets as far as they are known. */
  readonly target: Target
  readonly newRunId: () => string
  /** Default: in this thread. */
  readonly render?: RenderChanges | undefined
}

/**
 * Returns the target of a preview. A client certificate is left out if one of its secrets is not set here,
 * since no mask can stand for it. Throws as `resolveTarget` does.
 */
export function previewedTarget(definition: Definition, { lookUp, isSet }: KnownSecrets): Target {
  const { tls } = definition.destination
  const unset = secretNames(JSON.stringify(tls ?? {})).filter(name => !isSet(name))
  if (unset.length === 0) return resolveTarget(definition, lookUp)
  for (const name of unset) lookUp(name)
  const { ca, insecure } = tls ?? {}
  return resolveTarget(
    { ...definition, destination: { ...definition.destination, tls: { ca, insecure } } },
    lookUp,
  )
}

/** Returns the preview. `notices` come after the notices of the changes. */
export function previewOf(
  { next, ...rendering }: Previewing,
  notices: readonly string[],
): Omit<NextRun, keyof AsyncDisposable> {
  const { definition } = rendering
  const { counts, rowsRead, rowsInvalid, invalidSamples } = next.diff
  const detected = (op: Op): number => counts[op]?.detected ?? 0
  return {
    counts: { added: detected('added'), changed: detected('changed'), removed: detected('removed') },
    rowsRead,
    rowsInvalid,
    invalidRows: [...invalidSamples],
    notices: [...noticesOf(next, definition), ...notices],
    requests: narrowing => previewed(next.changes(narrowing), rendering),
  }
}

function noticesOf(
  { baseline, asks, interrupted, changed, diff }: NextChanges,
  { sync }: Definition,
): string[] {
  const notices: string[] = []
  if (changed !== null)
    notices.push(
      `destination changed: the run would be held until somebody says what becomes of ${diff.keysBefore} rows that were delivered. ` +
        `It would go ${changeOf(changed)}`,
    )
  const removed = diff.counts.removed?.detected ?? 0
  const { keysBefore: rows, rowsRead, rowsInvalid } = diff
  const usable = rowsRead - rowsInvalid
  if (needsApproval(sync, { removed, rows, usable, approved: null }))
    notices.push(
      `the removal guard would hold the run until somebody approves it: ${usable === 0 ? 'the model has no usable row, and ' : ''}it would remove ${removed} of ${rows} rows`,
    )
  if (baseline)
    notices.push(
      `firstRun is skip-existing: the first run takes the ${diff.settled} rows as delivered, and sends none`,
    )
  if (asks)
    notices.push('firstRun is ask: the first run fails until somebody says how it begins, with `--first-run`')
  if (interrupted)
    notices.push(
      'an earlier run did not end: its remaining requests are sent first, and this preview assumes that they all arrive',
    )
  if (diff.undecided > 0) notices.push(undecidedNotice(sync.name, diff.undecided))
  return notices
}

async function* previewed(
  changes: ReturnType<NextChanges['changes']>,
  { definition, target, newRunId, render = renderChanges }: Omit<Previewing, 'next'>,
): AsyncGenerator<FoundRequest> {
  const run = { id: newRunId(), startedAt: new Date().toISOString() }
  const context = { run, sync: { name: definition.sync.name } }
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let isSample = false
  const watched = watching(changes, rows => (isSample = rows.some(row => row.isSample)))
  for await (const { op: trigger, rendered } of render(watched, definition, context)) {
    const keys = rendered.rows.map(row => row.key)
    const sample = isSample ? ({ sample: true } as const) : {}
    if (rendered.kind === 'unrenderable') {
      const shown = { kind: 'rejected', trigger, keys, error: rendered.error, ...sample } as const
      yield { shown, rendered: null }
      continue
    }
    const { url, headers } = shownRequest(rendered, target)
    const body = rendered.body === null ? null : decoder.decode(rendered.body)
    const { method, path } = rendered
    yield {
      shown: { kind: 'request', trigger, method, url, headers, body, keys, ...sample },
      rendered: { method, path, headers: rendered.headers, body: rendered.body },
    }
  }
}

async function* watching<T>(items: AsyncIterable<T>, see: (item: T) => void): AsyncGenerator<T> {
  for await (const item of items) {
    see(item)
    yield item
  }
}
