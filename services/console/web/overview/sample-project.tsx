/** Creates and removes the sample project. It shows beforehand which resources these are. */
import type { SampleView } from '@sluice/contracts/api/operating'
import { SAMPLE_SYNC } from '@sluice/contracts/api/operations'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { ApiError, call } from '../api/client.ts'
import { useMay, whyOff } from '../api/session.ts'
import { Confirm } from '../ui/dialog.tsx'
import { Section } from '../ui/parts.tsx'
import { toast } from '../ui/toast.tsx'

type Document = SampleView['documents'][number]

async function getSample(to?: string, signal?: AbortSignal): Promise<SampleView> {
  return await call('getSample', { to }, { signal })
}

const useSample = () =>
  useQuery({
    queryKey: ['sample'],
    queryFn: ({ signal }) => getSample(undefined, signal),
    staleTime: Infinity,
  })

/** Creates all documents or none. It fails if one of them exists already. */
async function make(documents: readonly Document[]): Promise<void> {
  const made: Document[] = []
  try {
    for (const each of documents) {
      const { kind, name, yaml } = each
      await call('putResource', { kind, name, document: { yaml, version: 0 } })
      made.push(each)
    }
  } catch (error) {
    await remove(made)
    throw error
  }
}

/** Removes those documents that exist. */
async function remove(documents: readonly Document[]): Promise<void> {
  for (const { kind, name } of [...documents].reverse())
    await call('removeResource', { kind, name }).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
    })
}

/** The offer on an empty overview. A server whose services run elsewhere has none. */
export function OfferSample(): ReactElement | null {
  const { data } = useSample()
  const may = useMay('edit')
  const [asks, setAsks] = useState(false)
  if (data === undefined || data.sendsTo === null) return null
  return (
    <Section title="Or look at a sample first">
      <div className="pad">
        <p>
          Three rows, an API that answers, and the sync between them. It reads no file, and you can remove it.
        </p>
        <p>
          <button
            type="button"
            disabled={!may}
            title={may ? undefined : whyOff('edit')}
            onClick={() => setAsks(true)}
          >
            Make the sample project…
          </button>
        </p>
      </div>
      {asks ? <MakeSample sample={data} own={data.sendsTo} onClose={() => setAsks(false)} /> : null}
    </Section>
  )
}

interface MakeProps {
  readonly sample: SampleView
  readonly own: string
  readonly onClose: () => void
}

function MakeSample({ sample, own, onClose }: MakeProps): ReactElement {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [to, setTo] = useState(own)
  const confirm = async (): Promise<void> => {
    const { documents } = to === own ? sample : await getSample(to)
    await make(documents)
    await client.invalidateQueries()
    toast('done', 'The sample project is there. Run it, and look at its requests.')
    await navigate({ to: '/syncs/$name', params: { name: SAMPLE_SYNC } })
  }
  return (
    <Confirm title="Make the sample project?" action="Make it" onConfirm={confirm} onClose={onClose}>
      <p>It makes these, and sends nothing before you run it:</p>
      <ul>
        {sample.documents.map(({ kind, name }) => (
          <li key={kind}>
            the {kind} <code>{name}</code>
          </li>
        ))}
      </ul>
      <label className="field">
        <span>It sends to</span>
        <input type="url" required value={to} onChange={({ target }) => setTo(target.value)} />
        <small>
          {to === own
            ? 'This server itself, which gives back what it gets and keeps nothing. No request leaves the machine.'
            : 'Requests go to this address once you run the sync.'}
        </small>
      </label>
    </Confirm>
  )
}

/** The section of the overview while the sample project exists. */
export function RemoveSample(): ReactElement | null {
  const { data } = useSample()
  const may = useMay('edit')
  const client = useQueryClient()
  const [asks, setAsks] = useState(false)
  if (data === undefined || data.documents.length === 0) return null
  return (
    <Section
      title="The sample project"
      aside={
        <button
          type="button"
          className="small"
          disabled={!may}
          title={may ? undefined : whyOff('edit')}
          onClick={() => setAsks(true)}
        >
          Remove the sample…
        </button>
      }
    >
      <p className="pad quiet">
        It is yours to change: edit a row in its model, and run it again. Once you have seen enough, remove
        it.
      </p>
      {asks ? (
        <Confirm
          title="Remove the sample project?"
          action="Remove it"
          dangerous
          onConfirm={async () => {
            await remove(data.documents)
            await client.invalidateQueries()
            toast('done', 'The sample project is gone.')
          }}
          onClose={() => setAsks(false)}
        >
          <p>These go, with the runs and requests of the sync:</p>
          <ul>
            {data.documents.map(({ kind, name }) => (
              <li key={kind}>
                the {kind} <code>{name}</code>
              </li>
            ))}
          </ul>
        </Confirm>
      ) : null}
    </Section>
  )
}
