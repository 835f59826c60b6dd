/** Follows a run by the server's events. */
import type { RunView } from '@sluice/contracts/api'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { isAnswer } from './answer-checks.ts'
import { requestOf } from '@sluice/contracts/api/operations'

/** The state of the page's connection to the events of the run. */
export type EventsState = 'connecting' | 'live' | 'lost' | 'over'

const ENDED: ReadonlySet<RunView['status']> = new Set(['success', 'warning', 'failed', 'cancelled'])

export function hasEnded({ status }: Pick<RunView, 'status'>): boolean {
  return ENDED.has(status)
}

/**
 * Follows the run until it has ended, and stores each state for `runQuery`. After a break the browser
 * connects again by itself, and the first event has the current state.
 */
export function useFollowedRun(id: string): EventsState {
  const client = useQueryClient()
  const [state, setState] = useState<EventsState>('connecting')
  useEffect(() => {
    const source = new EventSource(requestOf('followRun', { id }).url)
    source.addEventListener('run', event => {
      const run: unknown = JSON.parse(String(event.data))
      if (!isAnswer('followRun', run)) return
      // The run was refused, since another one sees the same rows. The page says so.
      if (run.id !== id) {
        source.close()
        setState('over')
        return
      }
      client.setQueryData(['run', id], run)
      setState('live')
      if (!hasEnded(run)) return
      source.close()
      setState('over')
      for (const key of ['syncs', 'runs', 'failed', 'attempts', 'figures'])
        void client.invalidateQueries({ queryKey: [key] })
    })
    source.addEventListener('error', () => setState('lost'))
    return () => source.close()
  }, [client, id])
  return state
}
