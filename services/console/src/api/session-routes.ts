/** Sessions: who somebody is for this server, logging in with a token, and logging out. */
import { sessionEndedView, sessionView, type SessionView } from '@sluice/contracts/api'
import { noBody, noQuery, sessionBody } from '@sluice/contracts/api-requests'
import { SluiceError } from '@sluice/contracts/errors'
import { z } from 'zod'
import type { Principal } from '../access/principal.ts'
import { route, type Answer, type Route } from './route.ts'

/** A token is a line of text. */
const BODY_BYTES = 4 * 1024

const noPath = z.strictObject({})
const session = { path: '/session', status: 200, params: noPath, query: noQuery } as const

export const SESSION_ROUTES: readonly Route[] = [
  route({
    ...{ ...session, method: 'GET', scope: 'read', id: 'getSession', body: noBody, answer: sessionView },
    summary: 'Who asks, and what they may do',
    respond: (_input, { principal }) => Promise.resolve(described(principal)),
  }),
  route({
    ...{ ...session, method: 'POST', scope: 'anyone', id: 'logIn', body: sessionBody, answer: sessionView },
    ...{ summary: 'Log in with a token: the answer sets a cookie', bodyBytes: BODY_BYTES },
    respond: async ({ body: { token } }, { sessions }) => {
      const principal = await sessions.logIn(token)
      const cookies = principal.setCookie === null ? [] : [principal.setCookie]
      return { ...described(principal), cookies }
    },
  }),
  route({
    ...{ ...session, method: 'DELETE', scope: 'anyone', id: 'logOut', body: noBody },
    ...{ summary: 'Log out', answer: sessionEndedView },
    respond: async (_input, { sessions }) => {
      const cookies = await sessions.logOut()
      return { kind: 'document', value: { ended: cookies.length > 0 }, cookies }
    },
  }),
]

function described({ name, by, roles, session: of }: Principal): Answer & { readonly kind: 'document' } {
  if (by === null) throw new SluiceError('internal', 'a session of nobody')
  const view: SessionView = {
    ...{ name, by, roles: [...roles] },
    endsAt: of === null ? null : new Date(of.endsAt).toISOString(),
    idleUntil: of === null ? null : new Date(of.idleUntil).toISOString(),
  }
  return { kind: 'document', value: view }
}
