/** Opens the page of a run once the server has taken the command. */
import { useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'

/** The function rejects if the promise of the run rejects. */
export function useGoToRun(): (asked: Promise<{ readonly id: string }>) => Promise<void> {
  const navigate = useNavigate()
  return useCallback(
    async asked => {
      const { id } = await asked
      await navigate({ to: '/runs/$id', params: { id } })
    },
    [navigate],
  )
}
