/** The health of a destination: a badge, its reason, and the button that mends it. */
import type { DestinationHealth } from '@sluice/contracts/views/destination-health'
import { DESTINATION_STATES } from '@sluice/contracts/views/destination-states'
import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { lazy, Suspense, useState, type ReactElement } from 'react'
import { destinationsQuery } from '../api/queries.ts'
import { RoleButton } from '../ui/for-role.tsx'
import { Time } from '../ui/parts.tsx'
import { ServerMessage } from '../ui/server-message.tsx'
import { Badge } from '../ui/status.tsx'

/** Loaded when it is opened, since the first screen does without it. */
const EditSecret = lazy(async () => ({ default: (await import('../secrets/edit-secret.tsx')).EditSecret }))

const SIGNS = { good: '✓', warn: '!', bad: '✕', calm: '◌' } as const

export function HealthBadge({ health }: { readonly health: DestinationHealth }): ReactElement {
  const { text, tone } = DESTINATION_STATES[health.state]
  return <Badge tone={tone} sign={SIGNS[tone]} text={text} />
}

/** The reason, with the end of the state if that is known. */
export function HealthReason({ health }: { readonly health: DestinationHealth }): ReactElement {
  const { reason, until } = health
  return (
    <>
      <ServerMessage text={reason} />
      {until === null ? null : (
        <>
          {' '}
          Sluice tries again at <Time at={until} exact />.
        </>
      )}
    </>
  )
}

interface FixProps {
  readonly health: Pick<DestinationHealth, 'fix'>
  /** True on the page of the destination, which has the button for a login itself. */
  readonly isOnItsPage?: boolean
}

/** Shows nothing if no button can mend the health. */
export function HealthFix({ health: { fix }, isOnItsPage = false }: FixProps): ReactElement | null {
  const client = useQueryClient()
  const [sets, setSets] = useState(false)
  if (fix === null) return null
  const { act, name } = fix
  if (act === 'log-in' && isOnItsPage) return null
  if (act === 'log-in')
    return (
      <Link
        to="/resources/$kind/$name"
        params={{ kind: 'destination', name }}

        className="button small"
      >
        Log in…
      </Link>
    )
  const close = (): void => {
    setSets(false)
    void client.invalidateQueries({ queryKey: destinationsQuery.queryKey })
  }
  return (
    <>
      <RoleButton role="secrets" className="small primary" onClick={() => setSets(true)}>
        Set {name}…
      </RoleButton>
      {sets ? (
        <Suspense>
          <EditSecret name={name} onClose={close} />
        </Suspense>
      ) : null}
    </>
  )
}
