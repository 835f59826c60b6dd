/**
 * People of Customer.io's Track API (docs.customer.io/api/track,
 * docs.customer.io/journeys/invalid-api-requests): user name and password, one person a request, times as
 * seconds since 1970, and an attribute that is empty is taken away.
 */
import type { ScriptedAnswer } from '@sluice/testkit/scripted-api'
import { asMap, json, parsed, startPretendApi, type Call, type PretendApi } from './pretend-api.ts'

const MAX_VALUE_BYTES = 1000
const MAX_IDENTIFIER_BYTES = 150

export interface PretendCustomerio extends PretendApi {
  readonly people: ReadonlyMap<string, { readonly [attribute: string]: unknown }>
}

export async function startCustomerio(siteId: string, key: string): Promise<PretendCustomerio> {
  const people = new Map<string, { readonly [attribute: string]: unknown }>()
  const identify = ({ request, parts: [id = ''] }: Call): ScriptedAnswer => {
    const body = parsed(request)
    if (body === undefined) return failure(400, 'malformed JSON')
    if (Buffer.byteLength(id) > MAX_IDENTIFIER_BYTES) return failure(400, 'id is too long')
    const entries = Object.entries(asMap(body))
    const long = entries.find(([, value]) => Buffer.byteLength(String(value)) > MAX_VALUE_BYTES)
    if (long !== undefined)
      return failure(400, `value for attribute '${long[0]}' cannot be longer than ${MAX_VALUE_BYTES} bytes`)
    const attributes = new Map(Object.entries(people.get(id) ?? {}))
    for (const [name, value] of entries) {
      if (value === '') attributes.delete(name)
      else attributes.set(name, value)
    }
    people.set(id, Object.fromEntries(attributes))
    return json(200, {})
  }
  const remove = ({ parts: [id = ''] }: Call): ScriptedAnswer => {
    people.delete(id)
    return json(200, {})
  }
  const wanted = `Basic ${Buffer.from(`${siteId}:${key}`).toString('base64')}`
  const api = await startPretendApi({
    routes: [
      { method: 'PUT', path: /^\/api\/v1\/customers\/([^/]+)$/, answer: identify },
      { method: 'DELETE', path: /^\/api\/v1\/customers\/([^/]+)$/, answer: remove },
    ],
    refuse: ({ headers }) =>
      headers['authorization'] === wanted ? null : failure(401, 'Unauthorized request'),
    notFound: () => failure(404, 'not found'),
  })
  return { ...api, people }
}

function failure(status: number, error: string): ScriptedAnswer {
  return json(status, { meta: { error } })
}
