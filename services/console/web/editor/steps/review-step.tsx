/** The last step: it shows the changes and what the next run will send, and saves. */
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactElement } from 'react'
import { call } from '../../api/client.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../../api/query-client.ts'
import { Confirm } from '../../ui/dialog.tsx'
import { count, many, rows } from '../../ui/format.ts'
import { Trouble } from '../../ui/parts.tsx'
import { documentsOf, isStream, nameIn, OF_DRAFT, textAt, textOf, type Draft } from '../draft.ts'
import { LinesThatDiffer } from '../lines-that-differ.tsx'
import { Mistakes, type MistakesProps } from '../mistakes-list.tsx'
import type { Stored } from '../reused.ts'
import { runSizeOf, timeInWords } from '../run-size.ts'
import { changedKinds, sameIn, type Saving } from '../use-saving.ts'

interface ReviewProps extends MistakesProps {
  readonly stored: Stored
  readonly saving: Saving
  readonly onDiscard: () => void
}

export function ReviewStep(props: ReviewProps): ReactElement {
  const { draft, stored, problems, saving } = props
  const changes = changedKinds(draft, stored)
  const [discards, setDiscards] = useState(false)
  const streams = isStream(draft.sync)
  return (
    <>
      <h2>{changes.length === 0 ? 'Nothing differs from what the server has.' : 'What changes'}</h2>
      {changes.map(kind => {
        const present = sameIn(stored, kind, draft)
        const before = present === undefined ? '' : textOf(present)
        return (
          <details key={kind} open={changes.length < 3}>
            <summary>
              {present === undefined ? 'New' : 'Changed'} {kind} <strong>{nameIn(draft[kind])}</strong>
            </summary>
            <LinesThatDiffer before={before} after={draft[kind]} label={`How the ${kind} changes`} />
          </details>
        )
      })}
      <WillSend draft={draft} blocked={problems.length > 0} />
      {problems.length === 0 ? null : (
        <div className="trouble">
          <p>To be mended first:</p>
          <Mistakes {...props} />
        </div>
      )}
      {saving.error === null ? null : (
        <Trouble error={saving.error} onRetry={() => void saving.save(false)} />
      )}
      <footer className="step-foot">
        <button
          type="button"
          onClick={() => setDiscards(true)}
          disabled={changes.length === 0 || saving.isBusy}
        >
          Discard changes…
        </button>
        <span className="actions">
          {streams ? null : (
            <button
              type="button"
              disabled={problems.length > 0 || saving.isBusy}
              onClick={() => void saving.save(false)}
            >
              Save
            </button>
          )}
          <button
            type="button"
            className="primary"
            disabled={problems.length > 0 || saving.isBusy}
            onClick={() => void saving.save(!streams)}
          >
            {saving.isBusy ? 'Saving…' : streams ? 'Save' : 'Save and run'}
          </button>
        </span>
      </footer>
      {discards ? (
        <Confirm
          title="Discard what you have changed?"
          action="Discard changes"
          dangerous
          onConfirm={async () => props.onDiscard()}
          onClose={() => setDiscards(false)}
        >
          <p>This cannot be undone. What the server has stays as it is.</p>
        </Confirm>
      ) : null}
    </>
  )
}

/** The counts of the next run, from a whole preview of the unsaved draft. */
function WillSend({
  draft,
  blocked,
}: {
  readonly draft: Draft
  readonly blocked: boolean
}): ReactElement | null {
  const { data, error, isFetching } = useQuery({
    queryKey: ['will-send', draft],
    queryFn: ({ signal }) =>
      call(
        'previewDocuments',
        { sync: nameIn(draft.sync), limit: 1, documents: documentsOf(draft) },
        { signal },
      ),
    enabled: !blocked,
    ...ONCE_WHEN_THERE_IS_ROOM,
    meta: OF_DRAFT,
  })
  if (blocked) return null
  if (isFetching)
    return (
      <p className="will-send" role="status" aria-busy="true">
        Working out what the next run will send…
      </p>
    )
  if (error !== null) return <Trouble error={error} />
  if (data === undefined) return null
  const streams = isStream(draft.sync)
  const { added, changed, removed } = data.counts
  const counts = [
    ...(added > 0 ? [`${rows(added)} will count as added`] : []),
    ...(changed > 0 ? [`${count(changed)} as changed`] : []),
    ...(removed > 0 ? [`${count(removed)} as removed`] : []),
  ]
  return (
    <p className="will-send" role="status">
      {streams ? (
        <>
          <strong>The stream</strong> begins once this is saved. It compares the whole{' '}
          {textAt(draft.model, ['topic']) === '' ? 'table' : 'topic'}, and{' '}
        </>
      ) : (
        <>
          <strong>The next run</strong>{' '}
        </>
      )}
      {counts.length === 0 ? 'has nothing to send.' : `sends what differs: ${counts.join(', ')}.`}
      {(data.rowsInvalid ?? 0) > 0
        ? ` ${rows(data.rowsInvalid ?? 0)} ${data.rowsInvalid === 1 ? 'is' : 'are'} invalid and left out.`
        : ''}
      {counts.length === 0 ? null : <Size counts={data.counts} draft={draft} />}
      {streams ? ' From then on it sends each change as it comes, until somebody pauses the sync.' : ''}
    </p>
  )
}

/** The number of requests, and the shortest time that they take. */
function Size(props: {
  readonly counts: Parameters<typeof runSizeOf>[0]
  readonly draft: Draft
}): ReactElement {
  const { requests, isExact, ms, rate } = runSizeOf(props.counts, props.draft)
  return (
    <>
      {' '}
      {isExact ? 'That is' : 'That is about'} {many(requests, 'request', 'requests')}, which{' '}
      {requests === 1 ? 'takes' : 'take'} <strong>{timeInWords(ms)}</strong> at {rate}, if the API keeps up.
    </>
  )
}
