/**
 * HubSpot's contacts in batches (developers.hubspot.com, CRM objects and error handling): upserts by a unique
 * property, and errors by `objectWriteTraceId` in an answer of 207. Without such ids one wrong contact makes
 * the whole batch fail. Contacts are archived by the ids that HubSpot gave them.
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

const MAX_INPUTS = 100
const KNOWN = ['email', 'firstname', 'lastname', 'hs_lead_status', 'annualrevenue']
const LEAD_STATUSES = ['NEW', 'OPEN', 'IN_PROGRESS', 'CONNECTED']

interface Contact {
  readonly id: string
  readonly properties: { readonly [name: string]: string }
}

export interface PretendHubspot extends PretendApi {
  /** By email address. */
  readonly contacts: ReadonlyMap<string, Contact>
}

export async function startHubspot(token: string): Promise<PretendHubspot> {
  const contacts = new Map<string, Contact>()
  let made = 0

  const upsertOne = (input: { readonly [name: string]: unknown }) => {
    const { id, objectWriteTraceId: trace } = input
    const email = asText(id).toLowerCase()
    const properties = asMap(input['properties'])
    const wrong = wrongIn(input)
    if (wrong !== null) return { wrong: { ...wrongInput(wrong), context: { objectWriteTraceId: [trace] } } }
    const before = contacts.get(email)
    const given = Object.entries(properties).filter(([, value]) => value !== null)
    const texts = given.map(([name, value]) => [name, String(value)] as const)
    const after: Contact = {
      id: before?.id ?? String(501 + (made += 1)),
      properties: { ...before?.properties, email, ...Object.fromEntries(texts) },
    }
    contacts.set(email, after)
    return { result: { ...after, new: before === undefined, archived: false, objectWriteTraceId: trace } }
  }
  const upsert = ({ request }: Call): ScriptedAnswer => {
    const inputs = asList(asMap(parsed(request))['inputs']).map(asMap)
    if (inputs.length === 0 || inputs.length > MAX_INPUTS)
      return json(
        400,
        wrongInput(`The maximum number of inputs supported in a batch request is ${MAX_INPUTS}`),
      )
    const wrong = inputs.map(wrongIn).find(text => text !== null)
    const isTraced = inputs.every(input => typeof input['objectWriteTraceId'] === 'string')
    if (typeof wrong === 'string' && !isTraced) return json(400, wrongInput(wrong))
    const done = inputs.map(upsertOne)
    const errors = done.flatMap(({ wrong }) => (wrong === undefined ? [] : [wrong]))
    const results = done.flatMap(({ result }) => (result === undefined ? [] : [result]))
    const times = { startedAt: '2024-06-20T12:00:00.000Z', completedAt: '2024-06-20T12:00:00.100Z' }
    const body = { status: 'COMPLETE', results, ...times }
    if (errors.length === 0) return json(200, body)
    return json(207, { ...body, numErrors: errors.length, errors })
  }
  const archive = ({ request }: Call): ScriptedAnswer => {
    const ids = asList(asMap(parsed(request))['inputs']).map(input => asMap(input)['id'])
    if (ids.length === 0 || ids.length > MAX_INPUTS) return json(400, wrongInput('too many or no inputs'))
    for (const [email, { id }] of contacts) if (ids.includes(id)) contacts.delete(email)
    return { status: 204, body: '' }
  }
  const api = await startPretendApi({
    routes: [
      { method: 'POST', path: /^\/crm\/v3\/objects\/contacts\/batch\/upsert$/, answer: upsert },
      { method: 'POST', path: /^\/crm\/v3\/objects\/contacts\/batch\/archive$/, answer: archive },
    ],
    refuse: ({ headers }) =>
      headers['authorization'] === `Bearer ${token}`
        ? null
        : json(401, {
            status: 'error',
            category: 'INVALID_AUTHENTICATION',
            message: 'Authentication failed',
          }),
    notFound: () => json(404, { status: 'error', message: 'resource not found' }),
  })
  return { ...api, contacts }
}

function wrongIn(input: { readonly [name: string]: unknown }): string | null {
  if (input['idProperty'] !== 'email') return 'idProperty must be email'
  return wrongProperty({ email: input['id'], ...asMap(input['properties']) })
}

function wrongProperty(properties: { readonly [name: string]: unknown }): string | null {
  const unknown = Object.keys(properties).find(name => !KNOWN.includes(name))
  if (unknown !== undefined) return `Property values were not valid: Property "${unknown}" does not exist`
  const { email, hs_lead_status: status } = properties
  if (!/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(asText(email)))
    return `Property values were not valid: Email address ${asText(email)} is invalid`
  const isStatus = status === undefined || status === '' || LEAD_STATUSES.includes(asText(status))
  return isStatus
    ? null
    : `Property values were not valid: ${asText(status)} was not one of the allowed options`
}

function wrongInput(message: string) {
  return { status: 'error', category: 'VALIDATION_ERROR', message }
}

/** It does not say how long to wait. */
export const TOO_MANY = json(429, {
  ...{ status: 'error', errorType: 'RATE_LIMIT', policyName: 'TEN_SECONDLY_ROLLING' },
  message: 'You have reached your ten_secondly_rolling limit.',
})
