/** The session: the name that the server knows the user by, and their roles. */
import type { SessionView } from '@sluice/contracts/api'
import { queryOptions, useQuery } from '@tanstack/react-query'
import { call } from './client.ts'

export type Role = SessionView['roles'][number]

/** Also how a page finds out that the server answers again. */
const CHECK_MS = 10_000

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => call('getSession', {}, { signal }),
  refetchInterval: CHECK_MS,
})

export async function signIn(token: string): Promise<void> {
  await call('logIn', { token })
}

export async function signOut(): Promise<void> {
  await call('logOut', {})
}

/** True if whoever uses the page may do such a thing. The server decides again when it is asked to. */
export function useMay(role: Role): boolean {
  const { data } = useQuery(sessionQuery)
  return data?.roles.includes(role) ?? false
}
