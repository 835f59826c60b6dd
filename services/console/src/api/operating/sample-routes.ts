/**
 * The sample project, and the receiver that it sends to. The receiver gives back what it got and keeps
 * nothing. It wants no token, since what sends to it has none, and so it answers to this machine only.
 */
import { sampleReceivedView, sampleView } from '@sluice/contracts/api/operating'
import { noBody, noQuery, samplePath, sampleQuery } from '@sluice/contracts/api-requests'
import { SluiceError } from '@sluice/contracts/errors'
import { z } from 'zod'
import { RECEIVER_PATH, sampleDocuments } from '../../sample/sample-project.ts'
import { route, type Answer, type Route, type RouteContext } from '../route.ts'

const AT_ONCE = 20
const noPath = z.strictObject({})
const anyBody = z.unknown()
const document = (value: unknown): Answer => ({ kind: 'document', value })

const receives = {
  scope: 'anyone',
  status: 200,
  query: noQuery,
  answer: sampleReceivedView,
  atOnce: AT_ONCE,
  summary: 'What the sample project sends comes here, and is given back',
} as const

export const SAMPLE_ROUTES: readonly Route[] = [
  route({
    ...{ method: 'GET', scope: 'read', status: 200, path: '/sample', id: 'getSample' },
    summary: 'A project to try things with, as documents that are not stored',
    ...{ params: noPath, query: sampleQuery, body: noBody, answer: sampleView },
    respond: ({ query: { to } }, { ownUrl }) => {
      if (ownUrl === null) return Promise.resolve(document({ sendsTo: null, documents: [] }))
      const sendsTo = to ?? `${ownUrl}/api/v1${RECEIVER_PATH}`
      return Promise.resolve(document({ sendsTo, documents: sampleDocuments(sendsTo) }))
    },
  }),
  route({
    ...{ ...receives, method: 'POST', path: `${RECEIVER_PATH}/customers`, id: 'receiveAdded' },
    ...{ params: noPath, body: anyBody },
    respond: received,
  }),
  route({
    ...{ ...receives, method: 'PUT', path: `${RECEIVER_PATH}/customers/:id`, id: 'receiveChanged' },
    ...{ params: samplePath, body: anyBody },
    respond: received,
  }),
  route({
    ...{ ...receives, method: 'DELETE', path: `${RECEIVER_PATH}/customers/:id`, id: 'receiveRemoved' },
    ...{ params: samplePath, body: anyBody },
    respond: ({ params }, context) => received({ body: params }, context),
  }),
]

function received({ body }: { readonly body: unknown }, context: RouteContext): Promise<Answer> {
  const { ownUrl, isFromHere } = context
  if (ownUrl !== null && isFromHere) return Promise.resolve(document({ received: body }))
  return Promise.reject(
    new SluiceError('not-found', 'The receiver of the sample project answers to `sluice up` itself only.'),
  )
}
