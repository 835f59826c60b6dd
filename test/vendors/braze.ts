/**
 * Braze's users (braze.com/docs/api/endpoints/user_data/post_user_track, …/post_user_delete, /api/errors): up
 * to 75 objects a request, answered by 201 with errors by index, or by 400 if none of them is right. An
 * attribute that is null is taken away.
 */
import type { ScriptedAnswer } from '@sluice/testkit/scripted-api'
import {
  asList,
  asMap,
  asText,
  json,
  parsed,
  startPretendApi,
  type Call,
  type PretendApi,
} from './pretend-api.ts'

const MAX_OBJECTS = 75
const MAX_DELETED = 50
const NO_DATA = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."

export interface PretendBraze extends PretendApi {
  readonly users: ReadonlyMap<string, { readonly [attribute: string]: unknown }>
}

export async function startBraze(key: string): Promise<PretendBraze> {
  const users = new Map<string, { readonly [attribute: string]: unknown }>()
  const track = ({ request }: Call): ScriptedAnswer => {
    const objects = asList(asMap(parsed(request))['attributes']).map(asMap)
    if (objects.length > MAX_OBJECTS) return json(400, { message: `More than ${MAX_OBJECTS} objects` })
    const errors = objects.flatMap((object, index) => {
      const type = faultOf(object)
      if (type === null) keep(object)
      return type === null ? [] : [{ type, input_array: 'attributes', index }]
    })
    const told = errors.length === 0 ? {} : { errors }
    if (errors.length === objects.length) return json(400, { message: NO_DATA, ...told })
    return json(201, { message: 'success', attributes_processed: objects.length - errors.length, ...told })
  }
  const keep = ({ external_id: id, ...given }: { readonly [name: string]: unknown }): void => {
    const attributes = new Map(Object.entries(users.get(asText(id)) ?? {}))
    for (const [name, value] of Object.entries(given)) {
      if (value === null) attributes.delete(name)
      else attributes.set(name, value)
    }
    users.set(asText(id), Object.fromEntries(attributes))
  }
  const remove = ({ request }: Call): ScriptedAnswer => {
    const ids = asList(asMap(parsed(request))['external_ids'])
    if (ids.length === 0 || ids.length > MAX_DELETED)
      return json(400, { message: 'Bad number of external_ids' })
    const deleted = ids.filter(id => users.delete(asText(id))).length
    return json(200, { deleted, message: 'success' })
  }
  const api = await startPretendApi({
    routes: [
      { method: 'POST', path: /^\/users\/track$/, answer: track },
      { method: 'POST', path: /^\/users\/delete$/, answer: remove },
    ],
    refuse: ({ headers }) =>
      headers['authorization'] === `Bearer ${key}` ? null : json(401, { message: 'Invalid API key' }),
    notFound: () => json(404, { message: 'Not Found' }),
  })
  return { ...api, users }
}

function faultOf({ external_id: id, email }: { readonly [name: string]: unknown }): string | null {
  if (asText(id) === '') return "'external_id' is required"
  return email === null || /^[^@\s]+@[^@\s]+$/.test(asText(email)) ? null : "'email' is not valid"
}

/** The limit begins anew at a moment that a header of Braze's own tells, in seconds since 1970. */
export function tooMany(now: number): ScriptedAnswer {
  const reset = String(Math.ceil(now / 1000) + 1)
  const headers = { 'x-ratelimit-limit': '3000', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset }
  return json(429, { message: 'You have exceeded your rate limit' }, headers)
}
