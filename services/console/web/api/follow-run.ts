/** A run as it goes on: the server's events, and the last state where there are none. */
import type { RunView } from '@sluice/contracts/api'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { isAnswer } from './answer-checks.ts'
import { requestOf } from '@sluice/contracts/api/operations'

/** The state of the page's connection to the events of the run. */
export type Hearing = 'connecting' | 'live' | 'lost' | 'over'

const ENDED: ReadonlySet<RunView['status']> = new Set(['success', 'warning', 'failed', 'cancelled'])

export function hasEnded({ status }: Pick<RunView, 'status'>): boolean {
  return ENDED.has(status)
}

/**
 * Listens to the run until it has ended, and keeps its state where `runQuery` finds it. The browser connects
 * again by itself after a break; the first event then has the state as it is.
 */
export function useFollowedRun(id: string): Hearing {
  const client = useQueryClient()
  const [hearing, setHearing] = useState<Hearing>('connecting')
  useEffect(() => {
    const source = new EventSource(requestOf('followRun', { id }).url)
    source.addEventListener('run', event => {
      const run: unknown = JSON.parse(String(event.data))
      if (!isAnswer('followRun', run)) return
      // This one was refused, since the other one sees the same rows. The page says so.
      if (run.id !== id) {
        source.close()
        setHearing('over')
        return
      }
      client.setQueryData(['run', id], run)
      setHearing('live')
      if (!hasEnded(run)) return
      source.close()
      setHearing('over')
      for (const key of ['syncs', 'runs', 'failed', 'attempts', 'figures'])
        void client.invalidateQueries({ queryKey: [key] })
    })
    source.addEventListener('error', () => setHearing('lost'))
    return () => source.close()
  }, [client, id])
  return hearing
}
