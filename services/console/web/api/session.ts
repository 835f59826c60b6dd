/** The session: the user's name and roles. */
import type { SessionView } from '@sluice/contracts/api'
import { MAX_SIGN_IN_PATH } from '@sluice/contracts/api/operations'
import { queryOptions, useQuery } from '@tanstack/react-query'
import { ApiError, call } from './client.ts'
import { CHECK_LIMIT_MS, missed } from './connection.ts'

export type Role = SessionView['roles'][number]

/** The frame of all pages asks for it again and again, and so notices a server that is gone. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ signal }) => {
    try {
      return await call('getSession', {}, { signal, limitMs: CHECK_LIMIT_MS })
    } catch (error) {
      if (error instanceof ApiError && error.status === 0) missed()
      throw error
    }
  },
  staleTime: Infinity,
  retry: false,
})

export async function signIn(token: string): Promise<void> {
  await call('logIn', { token })
  // The server refused what the page had asked before.
  window.sluiceAsked?.clear()
}

/** Leaves the page for the OpenID provider, which sends the browser back to it. */
export async function beginSignIn(): Promise<void> {
  const path = `${location.pathname}${location.search}`
  const { url } = await call('beginSignIn', { to: path.length > MAX_SIGN_IN_PATH ? '/' : path })
  location.assign(url)
}

export async function signOut(): Promise<void> {
  await call('logOut', {})
}

const MAY_NOT: { readonly [role in Role]: string } = {
  view: 'see runs',
  read: 'see rows, requests and answers',
  edit: 'change syncs and other resources',
  run: 'start or end runs',
  approve: 'approve held runs',
  operate: 'send all rows again, replay or discard rows, or reset a sync',
  secrets: 'set or remove secrets',
}

/** The reason for a button that is off because the user lacks the role. */
export const whyOff = (role: Role): string => `You may not ${MAY_NOT[role]}: that wants the role ${role}.`

/** True if the user has the role. The server checks it again with each request. */
export function useMay(role: Role): boolean {
  const { data } = useQuery(sessionQuery)
  return data?.roles.includes(role) ?? false
}
