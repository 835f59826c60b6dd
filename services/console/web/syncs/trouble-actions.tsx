/** The button that mends the trouble of a sync, or the link that leads to its place. */
import type { SyncView } from '@sluice/contracts/api'
import type { ReactElement } from 'react'
import { HealthFix } from '../resources/destination-health.tsx'
import { OpenSource } from '../resources/open-source.tsx'

export function TroubleActions({
  trouble: { fix, source },
}: {
  readonly trouble: NonNullable<SyncView['trouble']>
}): ReactElement | null {
  if (fix === null && source === undefined) return null
  return (
    <div className="actions">
      <HealthFix health={{ fix }} />
      {source === undefined ? null : <OpenSource name={source} />}
    </div>
  )
}
