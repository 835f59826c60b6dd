/** For those who run a server: how it is, who may use it, and who changed or asked what. */
import { auditPage, healthView, tokensView } from '@sluice/contracts/api/operating'
import { auditQuery, noBody, noQuery } from '@sluice/contracts/api-requests'
import { assertMay, ROLE_OF } from '@sluice/control/roles'
import { z } from 'zod'
import { route, type Route } from '../route.ts'

/** Each looks at Kafka, the registry and Redis, or reads a whole topic. */
const AT_ONCE = 4

const reads = { method: 'GET', scope: 'read', status: 200, body: noBody, atOnce: AT_ONCE } as const

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
