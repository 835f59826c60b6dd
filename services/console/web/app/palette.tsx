/** The dialog that finds pages, resources and actions by a few letters, or by a word of their state. */
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import { DESTINATION_STATES } from '@sluice/contracts/views/destination-states'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useId, useMemo, useState, type KeyboardEvent, type ReactElement } from 'react'
import { ask } from '../api/commands.ts'
import { destinationsQuery, resourcesQuery, syncsQuery } from '../api/queries.ts'
import { useMay } from '../api/session.ts'
import { HealthBadge } from '../resources/destination-health.tsx'
import { useGoToRun } from '../runs/go-to-run.ts'
import { SyncState, wordsOf } from '../syncs/sync-state.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { titleIn } from '../ui/named.tsx'
import { toastError } from '../ui/toast.tsx'
import { findChoices } from './find-choices.ts'
import { PLACES } from './places.ts'

interface Choice {
  readonly name: string
  readonly what: string
  /** The words of its state that find it. */
  readonly state?: string
  readonly badge?: ReactElement
  readonly choose: () => unknown
}

const MAX_CHOICES = 12

export function Palette({ onClose }: { readonly onClose: () => void }): ReactElement {
  const [letters, setLetters] = useState('')
  const [at, setAt] = useState(0)
  const list = useId()
  const all = useChoices()
  const choices = findChoices(all, letters, MAX_CHOICES)
  const choose = (choice: Choice | undefined): void => {
    if (choice === undefined) return
    onClose()
    choice.choose()
  }
  const pressed = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, choices.length - 1))
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0))
    else if (event.key === 'Enter') choose(choices[at])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Find" onClose={onClose}>
      <input
        type="text"
        role="combobox"
        aria-label="Find a page, a sync, a destination or something to do"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={choices.length === 0 ? undefined : `${list}-${at}`}
        value={letters}
        onKeyDown={pressed}
        onChange={event => {
          setLetters(event.target.value)
          setAt(0)
        }}
      />
      <ul id={list} role="listbox" aria-label="Choices" className="choices">
        {choices.map((choice, index) => (
          <li
            key={`${choice.what} ${choice.name}`}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === at}
            onClick={() => choose(choice)}
          >
            <span>{choice.name}</span>
            <span className="choice-what">
              {choice.badge} <small>{choice.what}</small>
            </span>
          </li>
        ))}
      </ul>
      {choices.length === 0 ? <p className="quiet">Nothing has these letters.</p> : null}
    </Dialog>
  )
}

function stateOfDestination(health: DestinationHealth | undefined): Pick<Choice, 'state' | 'badge'> {
  if (health === undefined) return {}
  return { state: DESTINATION_STATES[health.state].text, badge: <HealthBadge health={health} /> }
}

/** A choice is found by its title, too. */
const titled = (what: string, title: string | undefined): string =>
  title === undefined ? what : `${what} · ${title}`

function useChoices(): readonly Choice[] {
  const navigate = useNavigate()
  const follow = useGoToRun()
  const { data } = useQuery(syncsQuery)
  const { data: stored } = useQuery(resourcesQuery)
  const { data: used } = useQuery(destinationsQuery)
  const [mayEdit, mayRun] = [useMay('edit'), useMay('run')]
  return useMemo(() => {
    const syncs = data?.syncs ?? []
    const others = stored?.resources.filter(({ kind }) => kind !== 'sync') ?? []
    const health = new Map(used?.destinations.map(each => [each.name, each.health]))
    const [runnable, editable] = [mayRun ? syncs : [], mayEdit ? syncs : []]
    return [
      ...PLACES.map(({ to, name }) => ({ name, what: 'page', choose: () => navigate({ to }) })),
      ...(mayEdit ? [{ name: 'New sync', what: 'page', choose: () => navigate({ to: '/new' }) }] : []),
      ...(mayEdit ? (['source', 'model', 'destination', 'alert'] as const) : []).map(kind => ({
        ...{ name: `New ${kind}`, what: 'page' },
        choose: () => navigate({ to: '/new/$kind', params: { kind } }),
      })),
      ...syncs.map(sync => ({
        ...{ name: sync.name, what: titled('sync', sync.title) },
        ...{ state: wordsOf(sync), badge: <SyncState sync={sync} /> },
        choose: () => navigate({ to: '/syncs/$name', params: { name: sync.name } }),
      })),
      ...others.map(({ kind, name, spec }) => ({
        ...{ name, what: titled(kind, titleIn(spec)) },
        ...(kind === 'destination' ? stateOfDestination(health.get(name)) : {}),
        choose: () => navigate({ to: '/resources/$kind/$name', params: { kind, name } }),
      })),
      ...runnable.map(({ name, title }) => ({
        ...{ name, what: titled('run', title) },
        choose: () => follow(ask('run', { name })).catch(toastError),
      })),
      ...editable.map(({ name, title }) => ({
        ...{ name, what: titled('edit', title) },
        choose: () => navigate({ to: '/syncs/$name/edit', params: { name } }),
      })),
    ]
  }, [data, follow, mayEdit, mayRun, navigate, stored, used])
}
