/**
 * Accounts of a Salesforce organisation (developer.salesforce.com, sObject Collections): up to 200 records a
 * request, one result a record in their order, and 200 whatever became of them. Its access tokens come from
 * the JWT bearer flow (help.salesforce.com, RFC 7523) and may end at any time.
 */
import { verify } from 'node:crypto'
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

const MAX_RECORDS = 200
const COLLECTIONS = /^\/services\/data\/v\d+\.0\/composite\/sobjects/
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const EXTERNAL_ID = 'Sluice_Id__c'

interface Account {
  readonly id: string
  readonly fields: { readonly [name: string]: unknown }
}

export interface PretendSalesforce extends PretendApi {
  /** By external id. */
  readonly accounts: ReadonlyMap<string, Account>
  /** All access tokens that it gave out, the newest last. */
  readonly tokens: readonly string[]
  /** Ends the sessions of all access tokens, as an administrator can. */
  endSessions(): void
  /** Another user edits this record, so its row is locked for so many updates. */
  lock(externalId: string, times: number): void
}

/** An app of the organisation that a user has approved once. */
export interface ConnectedApp {
  readonly consumerKey: string
  readonly username: string
  /** In PEM; in Salesforce it is a certificate. */
  readonly publicKey: string
}

export async function startSalesforce(app: ConnectedApp): Promise<PretendSalesforce> {
  const accounts = new Map<string, Account>()
  const locks = new Map<string, number>()
  const tokens: string[] = []
  let isValid = true
  let made = 0

  const token = ({ request }: Call): ScriptedAnswer => {
    const form = new URLSearchParams(request.body)
    if (form.get('grant_type') !== JWT_BEARER) return oauthError('unsupported_grant_type')
    const wrong = assertionFault(form.get('assertion') ?? '', app)
    if (wrong !== null) return oauthError('invalid_grant', wrong)
    const access = `00D000000000001!AQEAQ${String(tokens.length + 1).padStart(4, '0')}.sEcReTaCcEsS`
    tokens.push(access)
    isValid = true
    // Salesforce does not say when the token ends.
    return json(200, {
      access_token: access,
      token_type: 'Bearer',
      scope: 'api',
      id: 'https://login.salesforce.com/id/…',
    })
  }
  const upsertOne = (record: { readonly [name: string]: unknown }) => {
    const { attributes, [EXTERNAL_ID]: external, ...fields } = record
    const key = asText(external)
    if (asMap(attributes)['type'] !== 'Account') return failure('INVALID_TYPE', 'a record of another type')
    const lockedFor = locks.get(key) ?? 0
    if (lockedFor > 0) {
      locks.set(key, lockedFor - 1)
      return failure('UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record')
    }
    if (asText(fields['Name']) === '')
      return failure('REQUIRED_FIELD_MISSING', 'Required fields are missing: [Name]', ['Name'])
    const before = accounts.get(key)
    const id = before?.id ?? `001xx${String((made += 1)).padStart(10, '0')}AAA`
    accounts.set(key, { id, fields: { ...before?.fields, ...fields } })
    return { id, success: true, errors: [], created: before === undefined }
  }
  const upsert = ({ request }: Call): ScriptedAnswer => {
    const records = asList(asMap(parsed(request))['records']).map(asMap)
    if (records.length === 0 || records.length > MAX_RECORDS) return tooLarge()
    return json(200, records.map(upsertOne))
  }
  const removeOne = (id: string) => {
    const [key] = [...accounts].find(([, account]) => account.id === id) ?? []
    if (key === undefined) return failure('ENTITY_IS_DELETED', 'entity is deleted')
    accounts.delete(key)
    return { id, success: true, errors: [] }
  }
  const remove = ({ query }: Call): ScriptedAnswer => {
    const ids = (query.get('ids') ?? '').split(',').filter(id => id !== '')
    if (ids.length === 0 || ids.length > MAX_RECORDS) return tooLarge()
    return json(200, ids.map(removeOne))
  }
  const api = await startPretendApi({
    routes: [
      { method: 'POST', path: /^\/services\/oauth2\/token$/, answer: token },
      { method: 'PATCH', path: new RegExp(`${COLLECTIONS.source}/Account/${EXTERNAL_ID}$`), answer: upsert },
      { method: 'DELETE', path: new RegExp(`${COLLECTIONS.source}$`), answer: remove },
    ],
    refuse: ({ url, headers }) => {
      if (url === '/services/oauth2/token') return null
      if (isValid && headers['authorization'] === `Bearer ${tokens.at(-1) ?? ''}`) return null
      return json(401, [{ message: 'Session expired or invalid', errorCode: 'INVALID_SESSION_ID' }])
    },
    notFound: () => json(404, [{ message: 'The requested resource does not exist', errorCode: 'NOT_FOUND' }]),
  })
  return {
    ...api,
    accounts,
    tokens,
    endSessions: () => void (isValid = false),
    lock: (externalId, times) => void locks.set(externalId, times),
  }
}

function failure(statusCode: string, message: string, fields: readonly string[] = []) {
  return { success: false, errors: [{ statusCode, message, fields }] }
}

function tooLarge(): ScriptedAnswer {
  return json(400, [{ message: `record limit of ${MAX_RECORDS}`, errorCode: 'INVALID_BATCH_SIZE' }])
}

function oauthError(error: string, description = error.replaceAll('_', ' ')): ScriptedAnswer {
  return json(400, { error, error_description: description })
}

/** Says what is wrong with an assertion, in Salesforce's words; null if nothing is. */
function assertionFault(assertion: string, app: ConnectedApp): string | null {
  const [head = '', claims = '', signature = ''] = assertion.split('.')
  const signed = Buffer.from(`${head}.${claims}`)
  if (!verify('sha256', signed, app.publicKey, Buffer.from(signature, 'base64url')))
    return 'invalid assertion'
  const decoded: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString())
  const { iss, sub, aud, exp } = asMap(decoded)
  if (iss !== app.consumerKey) return 'invalid client id'
  if (sub !== app.username) return "user hasn't approved this consumer"
  if (aud !== 'https://login.salesforce.com') return 'audience is invalid'
  return Number(exp) * 1000 > Date.now() ? null : 'expired authorization code'
}

/** The limit of a day is used up: no 429 here. */
export const LIMIT_EXCEEDED = json(403, [
  { message: 'TotalRequests Limit exceeded.', errorCode: 'REQUEST_LIMIT_EXCEEDED' },
])
