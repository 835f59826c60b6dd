/** Who somebody is for the server, and what they may do. */
import { queryOptions } from '@tanstack/react-query'
import { z } from 'zod'
import { call } from './client.ts'

export interface Session {
  readonly name: string
  readonly canSignOut: boolean
  readonly mayWrite: boolean
}

const CHECK_MS = 10_000

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async (): Promise<Session> => {
    await call('/syncs', { query: { limit: 1 }, answer: z.unknown() })
    return { name: '', canSignOut: false, mayWrite: true }
  },
  refetchInterval: CHECK_MS,
})

export async function signIn(token: string): Promise<void> {
  await call('/session', { method: 'POST', body: { token }, answer: z.unknown() })
}

export async function signOut(): Promise<void> {
  await call('/session', { method: 'DELETE', answer: z.unknown() })
}
