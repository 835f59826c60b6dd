/** Logging in to a destination (OAuth 2, authorization code with PKCE) from the console's pages. */
import { loginBegunView, loginFinishedView } from '@sluice/contracts/api/operating'
import { loginFinishBody, noBody, noQuery, syncPath } from '@sluice/contracts/api-requests'
import { WrongState } from '@sluice/contracts/errors'
import { assertMay, ROLE_OF } from '@sluice/control/roles'
import { z } from 'zod'
import type { PendingLogins } from '../../login/pending-logins.ts'
import { route, type Route, type RouteContext } from '../route.ts'

const writes = { method: 'POST', scope: 'write', status: 200, query: noQuery, atOnce: 8 } as const

export const LOGIN_ROUTES: readonly Route[] = [
  route({
    ...{ ...writes, path: '/destinations/:name/login', id: 'beginLogin' },
    summary:
      'Begin a login to a destination: the answer has the address at which the person logs in, and the hosts that the login goes to then',
    ...{ params: syncPath, body: noBody, answer: loginBegunView },
    respond: async ({ params: { name } }, context) => {
      const { origin, signal } = context
      const value = await loginsOf(context).begin(name, { origin, holder: holderOf(context) }, signal)
      return { kind: 'document', value }
    },
  }),
  route({
    ...{ ...writes, path: '/logins/finish', id: 'finishLogin' },
    summary: 'Finish a login with the address that the browser was sent back to',
    ...{ params: z.strictObject({}), body: loginFinishBody, answer: loginFinishedView },
    respond: async ({ body: { redirected } }, context) => {
      const of = { holder: holderOf(context), by: context.principal.name }
      const value = await loginsOf(context).finish(new URL(redirected), of, context.signal)
      return { kind: 'document', value }
    },
  }),
]

/** The hosts that a login may go to are those that the destination names, so it is for operators. */
function loginsOf({ logins, principal: { roles } }: RouteContext): PendingLogins {
  assertMay(roles, ROLE_OF.logIn)
  if (logins !== null) return logins
  throw new WrongState('This server logs in to no destination: `sluice auth` does.')
}

/** A session finishes what it has begun itself. */
function holderOf({ principal: { by, name, session } }: RouteContext): string {
  return session === null ? `${by ?? 'nobody'} ${name}` : `session ${session.id}`
}
