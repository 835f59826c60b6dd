/** The session: the user's name and roles. */
import type { SessionView } from '@sluice/contracts/api'
import { queryOptions, useQuery } from '@tanstack/react-query'
import { call } from './client.ts'

export type Role = SessionView['roles'][number]

/** The time between two checks of the session. By them a page also notices that the server answers again. */
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

/** True if the user has the role. The server checks it again with each request. */
export function useMay(role: Role): boolean {
  const { data } = useQuery(sessionQuery)
  return data?.roles.includes(role) ?? false
}
