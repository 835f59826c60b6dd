/** The first steps as a list, until the first row is delivered or somebody hides them in this browser. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactElement } from 'react'
import { call } from '../api/client.ts'
import { resourcesQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { Section } from '../ui/parts.tsx'
import { Badge } from '../ui/status.tsx'
import { storedText, storeText } from '../ui/storage.ts'
import type { SyncView } from './at-a-glance.ts'
import { firstSteps, isBeforeFirstRow, type FirstStep } from './first-steps.ts'

const PLACE = 'sluice.first-steps'
const LOOKED_AT = 10
/** Somebody may take a step in another tab. */
const AGAIN_MS = 10_000

const WORDS: { readonly [id in FirstStep['id']]: readonly [name: string, what: string] } = {
  source: ['Connect a source', 'where the rows are: a database, or files'],
  model: ['Write a model', 'the SQL that gives the rows, and their key'],
  destination: ['Add a destination', 'the API, how to sign in there, and how fast it may be called'],
  test: ['Send a test request', 'one row, for real; no run counts it'],
  run: ['Run it for the first time', 'it sends the rows, and then only what changes'],
}

/** True if the steps are shown. The function hides them for good. */
export function useFirstSteps(syncs: readonly SyncView[]): readonly [isShown: boolean, hide: () => void] {
  const [isHidden, setHidden] = useState(() => storedText(PLACE) !== null)
  const hide = (): void => {
    storeText(PLACE, 'hidden')
    setHidden(true)
  }
  return [!isHidden && isBeforeFirstRow(syncs), hide]
}

/** The section on an overview that has syncs and no delivered row. */
export function FirstSteps({ syncs }: { readonly syncs: readonly SyncView[] }): ReactElement | null {
  const [isShown, hide] = useFirstSteps(syncs)
  if (!isShown) return null
  return (
    <Section title="First steps" aside={<HideSteps onHide={hide} />}>
      <StepsList syncs={syncs} />
    </Section>
  )
}

export function HideSteps({ onHide }: { readonly onHide: () => void }): ReactElement {
  return (
    <button type="button" className="small" onClick={onHide}>
      Hide the steps
    </button>
  )
}

export function StepsList({ syncs }: { readonly syncs: readonly SyncView[] }): ReactElement {
  const { data } = useQuery({ ...resourcesQuery, refetchInterval: AGAIN_MS })
  const isTested = useTested()
  const steps = firstSteps({ resources: data?.resources ?? [], syncs, isTested })
  const next = steps.find(({ isDone }) => !isDone)
  return (
    <ol className="first-steps">
      {steps.map(({ id, isDone, place }) => {
        const [name, what] = WORDS[id]
        return (
          <li key={id} aria-current={id === next?.id ? 'step' : undefined}>
            <span>
              <Link {...place}>{name}</Link>
              <small>{what}</small>
            </span>
            {isDone ? (
              <Badge tone="good" sign="✓" text="done" />
            ) : (
              <Badge tone="calm" sign="◌" text={id === next?.id ? 'next' : 'to do'} />
            )}
          </li>
        )
      })}
    </ol>
  )
}

/** Before the first delivered row, all requests that an API accepted are tests. */
function useTested(): boolean {
  const may = useMay('read')
  const { data } = useQuery({
    queryKey: ['attempts', 'accepted-tests'],
    queryFn: ({ signal }) =>
      call('listAttempts', { outcome: 'delivered', details: false, limit: LOOKED_AT }, { signal }),
    enabled: may,
    refetchInterval: AGAIN_MS,
    retry: false,
  })
  return data?.attempts.some(({ test }) => test === true) === true
}
