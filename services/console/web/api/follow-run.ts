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
 * After an answer that is no stream, such as a refusal, the page waits this long before it connects again.
 */
const CONNECT_AGAIN_MS = 2_000

/**
 * Follows the run until it has ended, and stores each state for `runQuery`. After a break the browser
 * connects again by itself, and the first event has the current state.
 */
export function useFollowedRun(id: string): EventsState {
  const client = useQueryClient()
  const [state, setState] = useState<EventsState>('connecting')
  useEffect(() => {
    let source: EventSource | null = null
    let timer: ReturnType<typeof setTimeout> | undefined
    const end = (): void => {
      source?.close()
      setState('over')
    }
    const take = (run: unknown): void => {
      if (!isAnswer('followRun', run)) return
      // The run was refused, since another one sees the same rows. The page says so.
      if (run.id !== id) return end()
      const known = client.getQueryData<RunView>(['run', id])
      client.setQueryData(['run', id], run)
      setState('live')
      if (!hasEnded(run)) return
      end()
      // The page has asked for all that the run left.
      if (known !== undefined && hasEnded(known)) return
      for (const key of ['run', 'syncs', 'runs', 'failed', 'attempts', 'figures'])
        void client.invalidateQueries({ queryKey: [key] })
    }
    const connect = (): void => {
      const events = new EventSource(requestOf('followRun', { id }).url)
      source = events
      events.addEventListener('run', event => take(JSON.parse(String(event.data))))
      events.addEventListener('error', () => {
        setState('lost')
        // The browser gives up after an answer that is no stream.
        if (events.readyState === EventSource.CLOSED) timer = setTimeout(connect, CONNECT_AGAIN_MS)
      })
    }
    connect()
    return () => {
      clearTimeout(timer)
      source?.close()
    }
  }, [client, id])
  return state
}
