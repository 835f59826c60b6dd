/** The last step: it shows the changes and what the next run will send, and saves. */
import { messageOf } from '@sluice/contracts/errors'
import type { Problem } from '@sluice/contracts/api'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useRef, useState, type ReactElement } from 'react'
import { ApiError, call } from '../../api/client.ts'
import { ask } from '../../api/commands.ts'
import { ONCE_WHEN_THERE_IS_ROOM } from '../../api/query-client.ts'
import { Confirm } from '../../ui/dialog.tsx'
import { count, rows } from '../../ui/format.ts'
import { Trouble } from '../../ui/parts.tsx'
import { ServerMessage } from '../../ui/server-message.tsx'
import { draftPlaceOf } from '../../ui/places.ts'
import { toast } from '../../ui/toast.tsx'
import { ConflictDialog, type Conflict } from '../conflict-dialog.tsx'
import { documentsOf, KINDS, nameIn, OF_DRAFT, textOf, type Draft, type Kind } from '../draft.ts'
import { LinesThatDiffer } from '../lines-that-differ.tsx'
import type { Stored, StoredResource } from '../reused.ts'

interface ReviewProps {
  readonly draft: Draft
  readonly stored: Stored
  readonly problems: Problem['errors']
  readonly takeOver: readonly Kind[]
  readonly onSaved: () => void
  readonly onThrowAway: () => void
}

export function ReviewStep(props: ReviewProps): ReactElement {
  const { draft, stored, problems } = props
  const changes = changedKinds(draft, stored)
  const saving = useSaving(props)
  const [throws, setThrows] = useState(false)
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
          <ul>
            {problems.map((problem, index) => (
              <li key={index}>
                {draftPlaceOf(problem)}: <ServerMessage text={problem.message} />
              </li>
            ))}
          </ul>
        </div>
      )}
      {saving.error === null ? null : (
        <Trouble error={saving.error} onRetry={() => void saving.save(false)} />
      )}
      <footer className="step-foot">
        <button
          type="button"
          onClick={() => setThrows(true)}
          disabled={changes.length === 0 || saving.isBusy}
        >
          Throw it away…
        </button>
        <span className="actions">
          <button
            type="button"
            disabled={problems.length > 0 || saving.isBusy}
            onClick={() => void saving.save(false)}
          >
            Save
          </button>
          <button
            type="button"
            className="primary"
            disabled={problems.length > 0 || saving.isBusy}
            onClick={() => void saving.save(true)}
          >
            {saving.isBusy ? 'Saving…' : 'Save and run'}
          </button>
        </span>
      </footer>
      {throws ? (
        <Confirm
          title="Throw away what you have changed?"
          action="Throw it away"
          dangerous
          onConfirm={async () => props.onThrowAway()}
          onClose={() => setThrows(false)}
        >
          <p>This cannot be undone. What the server has stays as it is.</p>
        </Confirm>
      ) : null}
      {saving.conflict === null ? null : (
        <ConflictDialog conflict={saving.conflict} onOverwrite={saving.overwrite} onClose={saving.dismiss} />
      )}
    </>
  )
}

function changedKinds(draft: Draft, stored: Stored): readonly Kind[] {
  return KINDS.filter(kind => {
    const present = sameIn(stored, kind, draft)
    return present === undefined || textOf(present) !== draft[kind]
  })
}

/** The stored resource with the draft's name. A draft with another name makes another resource. */
function sameIn(stored: Stored, kind: Kind, draft: Draft): StoredResource | undefined {
  const resource = stored[kind]
  return resource?.name === nameIn(draft[kind]) ? resource : undefined
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
  const { added, changed, removed } = data.counts
  const counts = [
    ...(added > 0 ? [`${rows(added)} will count as added`] : []),
    ...(changed > 0 ? [`${count(changed)} as changed`] : []),
    ...(removed > 0 ? [`${count(removed)} as removed`] : []),
  ]
  return (
    <p className="will-send" role="status">
      <strong>The next run</strong>{' '}
      {counts.length === 0 ? 'has nothing to send.' : `sends what differs: ${counts.join(', ')}.`}
      {(data.rowsInvalid ?? 0) > 0
        ? ` ${rows(data.rowsInvalid ?? 0)} ${data.rowsInvalid === 1 ? 'is' : 'are'} invalid and left out.`
        : ''}
    </p>
  )
}

interface Saving {
  readonly save: (andRun: boolean) => Promise<void>
  readonly isBusy: boolean
  readonly error: unknown
  readonly conflict: Conflict | null
  readonly overwrite: () => void
  readonly dismiss: () => void
}

/** Saves each resource after those that it refers to. If one fails, the earlier ones stay saved. */
function useSaving({ draft, stored, takeOver, onSaved }: ReviewProps): Saving {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [conflict, setConflict] = useState<(Conflict & { readonly andRun: boolean }) | null>(null)
  // Versions that an attempt saved before it failed are no conflict for the next attempt.
  const saved = useRef(new Map<string, number>())
  const save = async (andRun: boolean, versions: { readonly [kind: string]: number } = {}): Promise<void> => {
    setBusy(true)
    setError(null)
    try {
      for (const kind of changedKinds(draft, stored)) {
        const present = sameIn(stored, kind, draft)
        const place = `${kind}/${nameIn(draft[kind])}`
        // Version 0 says that a new resource may not replace any.
        const known = saved.current.get(place) ?? (present === undefined ? 0 : present.version)
        const terms = { version: versions[kind] ?? known, takeOver: takeOver.includes(kind) }
        const version = await put(kind, draft, terms).catch((failure: unknown) => {
          const present = failure instanceof ApiError ? failure.problem?.versions?.present : undefined
          if (present !== undefined)
            setConflict({ kind, name: nameIn(draft[kind]), mine: draft[kind], present, andRun })
          throw failure
        })
        if (version !== undefined) saved.current.set(place, version)
      }
      onSaved()
      await client.invalidateQueries({ predicate: ({ meta }) => meta !== OF_DRAFT })
      const name = nameIn(draft.sync)
      const run = andRun ? await begunRun(name) : null
      if (!andRun || run !== null) toast('done', `${name} is saved.`)
      if (run === null) await navigate({ to: '/syncs/$name', params: { name } })
      else await navigate({ to: '/runs/$id', params: { id: run } })
    } catch (failure) {
      setError(failure)
    } finally {
      setBusy(false)
    }
  }
  const overwrite = (): void => {
    if (conflict === null) return
    setConflict(null)
    void save(conflict.andRun, { [conflict.kind]: conflict.present })
  }
  return { save, isBusy, error, conflict, overwrite, dismiss: () => setConflict(null) }
}

/**
 * Starts a run of a saved sync and returns its id. Null if none begins: then a message says why, and the user
 * can try again from the page of the sync.
 */
async function begunRun(sync: string): Promise<string | null> {
  try {
    return (await ask('run', { name: sync })).id
  } catch (error) {
    const why = messageOf(error)
    toast('failed', `${sync} is saved, and no run of it has begun: ${why}`)
    return null
  }
}

interface PutTerms {
  readonly version: number | undefined
  readonly takeOver: boolean
}

async function put(kind: Kind, draft: Draft, { version, takeOver }: PutTerms): Promise<number | undefined> {
  const document = { yaml: draft[kind], version, ...(takeOver ? { takeOver } : {}) }
  const answer = await call('putResource', { kind, name: nameIn(draft[kind]), document })
  return answer.version
}
