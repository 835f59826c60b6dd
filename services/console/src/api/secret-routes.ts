/** The routes of the vault. A value comes in a body, and is in no answer. */
import { secretRemovedView, secretSetView, secretsResealedView, secretsView } from '@sluice/contracts/api'
import { noBody, noQuery, secretBody, secretPath, secretQuery } from '@sluice/contracts/api-requests'
import { FILE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { z } from 'zod'
import { route, type Answer, type Route } from './route.ts'

/** JSON writes each line break, quote and backslash of a value as two characters. */
const BODY_BYTES = 2 * FILE_CEILING_BYTES + 64 * 1024
/** A vault may have thousands of secrets. One that was not reached is taken the next time. */
const RESEAL_MS = 10 * 60_000

const noPath = z.strictObject({})
const document = (value: unknown): Answer => ({ kind: 'document', value })

export const SECRET_ROUTES: readonly Route[] = [
  route({
    ...{ method: 'GET', scope: 'read', status: 200, path: '/secrets', id: 'listSecrets' },
    summary: 'What is in the vault, by kind and name, without the values',
    ...{ params: noPath, query: noQuery, body: noBody, answer: secretsView },
    respond: async (_input, { control, signal }) => document(await control.secrets(signal)),
  }),
  route({
    ...{ method: 'PUT', scope: 'write', status: 200, path: '/secrets/:name', id: 'setSecret' },
    ...{ summary: 'Keep a secret in the vault, encrypted', bodyBytes: BODY_BYTES, atOnce: 4 },
    ...{ params: secretPath, query: noQuery, body: secretBody, answer: secretSetView },
    respond: async ({ params: { name }, body: { value, for: grants } }, { control, signal }) => {
      const secret = { name, value, ...(grants === undefined ? {} : { grants }) }
      return document(await control.setSecret(secret, signal))
    },
  }),
  route({
    ...{ method: 'DELETE', scope: 'write', status: 200, path: '/secrets/:name', id: 'removeSecret' },
    summary: 'Remove a secret, or a login, from the vault',
    ...{ params: secretPath, query: secretQuery, body: noBody, answer: secretRemovedView },
    respond: async ({ params: { name }, query: { kind = 'secret' } }, { control, signal }) =>
      document(await control.removeSecret({ kind, name }, signal)),
  }),
  route({
    ...{ method: 'POST', scope: 'write', status: 200, path: '/vault/reseal', id: 'resealSecrets' },
    ...{ summary: 'Encrypt the vault with the first key again', timeoutMs: RESEAL_MS },
    ...{ params: noPath, query: noQuery, body: noBody, answer: secretsResealedView },
    respond: async (_input, { control, signal }) => document(await control.resealSecrets(signal)),
  }),
]
