/** For those who run a server: how it is, who may use it, and who changed or asked what. */
import { auditPage, destinationsPage, healthView, tokensView } from '@sluice/contracts/api/operating'
import { auditQuery, noBody, noQuery, pageQuery } from '@sluice/contracts/api-requests'
import { assertMay, ROLE_OF } from '@sluice/control/roles'
import { z } from 'zod'
import { route, type Route } from '../route.ts'

/** Each looks at Kafka, the registry and Redis, or reads a whole topic. */
const AT_ONCE = 4

const looks = { method: 'GET', scope: 'read', status: 200, body: noBody } as const
const reads = { ...looks, atOnce: AT_ONCE } as const

export const OPERATOR_ROUTES: readonly Route[] = [
  route({
    ...{ ...reads, path: '/health', id: 'getHealth' },
    summary: 'How the server is: what it stands on, which process owns which partitions, and what waits',
    ...{ params: z.strictObject({}), query: noQuery, answer: healthView },
    respond: async (_input, { control, signal }) => ({
      kind: 'document',
      value: await control.health(signal),
    }),
  }),
  route({
    ...{ ...looks, path: '/destinations', id: 'listDestinations' },
    summary: 'The destinations by name, and how much of their limits is in use',
    ...{ params: z.strictObject({}), query: pageQuery, answer: destinationsPage },
    respond: async ({ query: { limit, after } }, { control, signal }) => ({
      kind: 'document',
      value: await control.destinations({ limit, after }, signal),
    }),
  }),
  route({
    ...{ ...reads, path: '/audit', id: 'listAudit' },
    summary: 'Who changed or asked what, the newest first',
    ...{ params: z.strictObject({}), query: auditQuery, answer: auditPage },
    respond: async ({ query: { limit, after, by, name } }, { control, signal }) => ({
      kind: 'document',
      value: await control.audit({ limit, after, by, name }, signal),
    }),
  }),
  route({
    ...{ ...reads, path: '/tokens', id: 'listTokens' },
    summary: 'Who has a token of the server, with which roles; never the token',
    ...{ params: z.strictObject({}), query: noQuery, answer: tokensView },
    respond: (_input, { principal, tokens }) => {
      assertMay(principal.roles, ROLE_OF.tokens)
      return Promise.resolve({ kind: 'document', value: tokens() })
    },
  }),
]
