/** Goes to the page of a run that was asked for. */
import { useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'

/** Rejects as the asking does. */
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
