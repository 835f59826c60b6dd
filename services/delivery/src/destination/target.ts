/**
 * Resolves the target of a definition's requests: base URL, headers and query with their secrets filled in,
 * limits, and the rules for answers.
 */
import manifest from '../../package.json' with { type: 'json' }
import { SluiceError } from '@sluice/contracts/errors'
import {
  type Definition,
  type DestinationSpec,
  type LimitsSpec,
  type SyncSpec,
  DEFAULT_CONCURRENCY,
} from '@sluice/contracts/resources'
import { percentDecoded } from '@sluice/contracts/specs/http-texts'
import type { Op, ShownCertificate } from '@sluice/contracts/state'
import type { BreakerRule, LimitScope, RateWindow } from '@sluice/rate-limit/port'
import { compileCaptures, type Capture } from '@sluice/domain/answers/captured'
import { assertFilled } from '@sluice/domain/filled-destination'
import { findFor, usesByDestination } from '@sluice/domain/secret-uses'
import { triggerOf } from '@sluice/domain/definition'
import { compileAnswerRules, type AnswerRule } from '@sluice/domain/answers/answer-rules'
import { compileRowRules, type RowRule } from '@sluice/domain/answers/row-results'
import { fillSecrets, secretNames, type SecretFor } from '@sluice/contracts/secret-references'
import { CUT_END_UNITS, MASK } from '@sluice/secrets/redact'
import type { ConnectionOptions, ShownTls } from '@sluice/http-sender/port'
import { RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'
import {
  type AttemptCredentials,
  type Credential,
  authorizationOf,
  connectionOf,
  isOAuth,
} from './attempt-credentials.ts'

/**
 * The certificates of a run's connections. Servers behind one name may have several certificates. For each
 * side, the certificate that expires first counts.
 */
export class ShownCertificates {
  #seen: ShownTls | undefined
  readonly #first = new Map<ShownCertificate['side'], ShownCertificate>()

  /** Notes the certificates of a connection; undefined if it is not encrypted. */
  note(tls: ShownTls | undefined): void {
    // All requests over one connection have the same object.
    if (tls === undefined || tls === this.#seen) return
    this.#seen = tls
    for (const side of ['server', 'client'] as const) {
      const shown = tls[side]
      const before = this.#first.get(side)?.expiresAt ?? Infinity
      if (shown !== null && shown.validUntil < before)
        this.#first.set(side, { side, subject: shown.subject, expiresAt: shown.validUntil })
    }
  }

  get all(): readonly ShownCertificate[] {
    return [...this.#first.values()]
  }
}

/** The default `User-Agent` of requests. */
const USER_AGENT = `sluice/${manifest.version}`

interface Merged {
  readonly target: Target
  readonly merged: Target
}

const merged = new WeakMap<Credential, Merged>()

/** Returns the target with the header of the credential, and with its secrets to mask. */
export function withCredential(target: Target, credential: Credential | null): Target {
  if (credential === null) return target
  const known = merged.get(credential)
  if (known?.target === target) return known.merged
  const headers = { ...target.headers, authorization: credential.header }
  const made = { ...target, headers, secrets: [...target.secrets, ...credential.secrets] }
  merged.set(credential, { target, merged: made })
  return made
}

const DEFAULT_RATE: RateWindow = { requests: 1000, windowMs: 1000 }
const DEFAULT_BREAKER: BreakerRule = { failures: 50, pauseMs: 30_000 }
const UNITS = { second: 1000, minute: 60_000, hour: 3_600_000 } as const
/** A slot that its owner never gives back is freed this long after the time-out of the request. */
const SLOT_MARGIN_MS = 5_000

export interface Target {
  readonly sync: string
  readonly destination: string
  readonly baseUrl: string
  /** The base URL with secrets masked, as it is shown. */
  readonly shownBaseUrl: string
  readonly headers: { readonly [name: string]: string }
  /** The headers with secrets masked, as they are shown. */
  readonly shownHeaders: { readonly [name: string]: string }
  readonly connection: ConnectionOptions
  /** The access tokens for attempts; null if `headers` authenticate the sender. */
  readonly credentials: AttemptCredentials | null
  /** The certificates of its connections so far. */
  readonly certificates: ShownCertificates
  readonly query: string
  readonly shownQuery: string
  readonly idempotencyHeader: string | null
  readonly timeoutMs: number
  readonly slotLifeMs: number
  /** The scope of the destination comes first. */
  readonly scopes: readonly LimitScope[]
  readonly concurrency: number
  /** True if a request that may have arrived is not sent again. */
  readonly atMostOnce: boolean
  /** The rule of the breaker; null if there is no breaker. */
  readonly breaker: BreakerRule | null
  readonly secrets: readonly string[]
  /** The sync's own rules for answers. */
  readonly answers: readonly AnswerRule[]
  /** The sync's own rules for single rows in answers. */
  readonly rowRules: readonly RowRule[]
  /** True if a batch is divided when it is rejected for its content or size. */
  readonly splitsBatches: boolean
  /** True for triggers whose requests may have several rows. */
  readonly batched: { readonly [op in Op]: boolean }
  /** The values that are captured from the answers to added and changed rows. */
  readonly captures: { readonly [op in Op]: readonly Capture[] }
  /** The number of JSONPaths that search an answer. */
  readonly answerPaths: number
  /** The bytes of an answer's body that are read. */
  readonly answerLimitBytes: number
}

/** The bytes of an answer's body that are read for rules or captures. */
export const LOOKED_AT_BYTES = 1024 * 1024

/**
 * Throws `config`, which names the secret, if a secret is not set, may not go to this destination, or makes
 * an impossible header or parameter.
 */
export function resolveTarget(
  definition: Definition,
  secretFor: SecretFor,
  profile: Profile = { allowPrivateNetwork: true },
): Target {
  const { destination } = definition
  const uses = usesByDestination(destination)
  if (uses.length === 0)
    throw new SluiceError('config', `Destination \`${destination.name}\`: its \`baseUrl\` is not a URL.`)
  const lookUp = findFor(uses, secretFor)
  assertFilled(destination, lookUp)
  const connection = connectionOf(destination, text => fillSecrets(text, lookUp), profile)
  return filledTarget(definition, lookUp, connection)
}

/** Returns the target, without secrets, of a run that sends nothing. */
export function targetWithoutSecrets(definition: Definition): Target {
  return filledTarget(definition, () => '', {})
}

type LookUp = (name: string) => string

/** The defaults of destinations in a profile. */
export interface Profile {
  readonly allowPrivateNetwork: boolean
}

function filledTarget(definition: Definition, lookUp: LookUp, connection: ConnectionOptions): Target {
  const { destination, sync } = definition
  const secrets: string[] = []
  const fill = (text: string): string =>
    fillSecrets(text, name => {
      const value = lookUp(name)
      secrets.push(value)
      // An API that echoes a header echoes it without white space around it.
      if (value.trim() !== value) secrets.push(value.trim())
      return value
    })
  const headers: { [name: string]: string } = { 'user-agent': USER_AGENT }
  const shownHeaders: { [name: string]: string } = { ...headers }
  for (const [name, text] of Object.entries(destination.headers ?? {})) {
    // White space around it is no part of a header's value (RFC 9110 §5.5).
    const value = fill(text).trim()
    headers[name.toLowerCase()] = value
    shownHeaders[name.toLowerCase()] = masked(text)
    if (secretNames(text).length > 0) secrets.push(...passwordIn(value))
  }
  const authorization = authorizationOf(destination, fill)
  if (isOAuth(destination)) shownHeaders['authorization'] = `Bearer ${MASK}`
  if (authorization !== null) {
    headers['authorization'] = authorization.header
    shownHeaders['authorization'] = authorization.shown
    secrets.push(...authorization.secrets)
  }
  const baseUrl = fill(destination.baseUrl)
  for (const name of secretNames(destination.baseUrl)) secrets.push(...partsOfPath(lookUp(name)))
  const query: string[] = []
  const shownQuery: string[] = []
  for (const [name, text] of Object.entries(destination.query ?? {})) {
    const value = fill(text)
    query.push(`${encoded(name)}=${encoded(value)}`)
    shownQuery.push(`${encoded(name)}=${secretNames(text).length > 0 ? MASK : encoded(value)}`)
  }
  const scopes = scopesOf(definition)
  const { idempotencyHeader } = destination
  return {
    sync: sync.name,
    destination: destination.name,
    baseUrl: withoutEnd(baseUrl),
    shownBaseUrl: withoutEnd(masked(destination.baseUrl)),
    headers,
    shownHeaders,
    connection,
    credentials: null,
    certificates: new ShownCertificates(),
    query: query.join('&'),
    shownQuery: shownQuery.join('&'),
    idempotencyHeader:
      idempotencyHeader === false ? null : (idempotencyHeader ?? 'Idempotency-Key').toLowerCase(),
    timeoutMs: sync.timeout,
    slotLifeMs: sync.timeout + SLOT_MARGIN_MS,
    scopes,
    concurrency: Math.min(...scopes.map(scope => scope.concurrency)),
    atMostOnce: sync.delivery === 'at-most-once',
    breaker: breakerOf(destination),
    secrets,
    ...answersOf(sync),
  }
}

/** The paths of a rule for rows: items, the name of a row, its outcome and its error. */
const PATHS_OF_ROW_RULE = 4

/** Returns the rules for answers, and the captures. */
function answersOf(sync: SyncSpec) {
  const isBatched = (op: Op): boolean => (triggerOf(sync, op)?.batch?.size ?? 1) > 1
  const answers = compileAnswerRules(sync.errors?.answers ?? [])
  const rowRules = compileRowRules(sync.errors?.rowResults ?? [])
  const captures = {
    added: compileCaptures(triggerOf(sync, 'added')?.capture),
    changed: compileCaptures(triggerOf(sync, 'changed')?.capture),
    removed: [],
  }
  const captured = captures.added.length > 0 || captures.changed.length > 0
  const rulesLook =
    rowRules.length > 0 || answers.some(({ json, body, error }) => (json ?? body ?? error) !== null)
  return {
    answers,
    rowRules,
    splitsBatches: sync.errors?.splitBatches === true,
    batched: { added: isBatched('added'), changed: isBatched('changed'), removed: isBatched('removed') },
    captures,
    answerPaths:
      answers.flatMap(({ json, error }) => [json, error]).filter(path => path !== null).length +
      rowRules.length * PATHS_OF_ROW_RULE +
      captures.added.length +
      captures.changed.length,
    // A UTF-16 unit takes up to three bytes.
    answerLimitBytes: captured || rulesLook ? LOOKED_AT_BYTES : RECORDED_BODY_BYTES + 3 * CUT_END_UNITS,
  }
}

/**
 * Returns the forms in which an API may echo a secret of a path: without the slashes around it, its last
 * segment alone, which may identify the caller, and both decoded.
 */
function partsOfPath(value: string): readonly string[] {
  const bare = withoutEnd(value).replace(/^\/+/, '')
  const parts = [bare, bare.split('/').at(-1) ?? '']
  return [...new Set([...parts, ...parts.map(percentDecoded)])].filter(part => part !== value && part !== '')
}

function withoutEnd(url: string): string {
  return url.replace(/\/+$/, '')
}

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function masked(text: string): string {
  return fillSecrets(text, () => MASK)
}

/**
 * Returns the limits of destination and sync as two scopes, so that the stricter one holds. Defaults hold
 * where neither sets a value.
 */
export function scopesOf(definition: Definition): readonly LimitScope[] {
  const { destination, sync } = definition
  const both = [destination.limits, sync.limits]
  const noRate = both.every(limits => limits?.rate === undefined)
  const noConcurrency = both.every(limits => limits?.concurrency === undefined)
  const scope = (name: string, limits: LimitsSpec | undefined, isDestination: boolean): LimitScope => ({
    name,
    rates: ratesOf(limits, noRate && isDestination ? [DEFAULT_RATE] : []),
    concurrency:
      limits?.concurrency ?? (noConcurrency && isDestination ? DEFAULT_CONCURRENCY : Number.MAX_SAFE_INTEGER),
  })
  const scopes = [scope(`destination/${destination.name}`, destination.limits, true)]
  if (sync.limits !== undefined) scopes.push(scope(`sync/${sync.name}`, sync.limits, false))
  return scopes
}

function breakerOf({ breaker }: DestinationSpec): BreakerRule | null {
  if (breaker === false) return null
  return breaker === undefined ? DEFAULT_BREAKER : { failures: breaker.failures, pauseMs: breaker.pause }
}

function ratesOf(limits: LimitsSpec | undefined, fallback: readonly RateWindow[]): readonly RateWindow[] {
  if (limits?.rate === undefined) return fallback
  const rates = Array.isArray(limits.rate) ? limits.rate : [limits.rate]
  return rates.map(({ requests, per }) => ({
    requests,
    windowMs: typeof per === 'number' ? per : UNITS[per],
  }))
}

/** Returns the URL of a request, with the destination's query. */
export function urlOf({ baseUrl }: Pick<Target, 'baseUrl'>, path: string, query: string): string {
  const separator = path === '' || path.startsWith('/') || path.startsWith('?') ? '' : '/'
  const url = `${baseUrl}${separator}${path}`
  if (query === '') return url
  return `${url}${url.includes('?') ? '&' : '?'}${query}`
}

/** Returns the credentials in a `Basic` header, which an API may echo decoded. */
function passwordIn(value: string): readonly string[] {
  const encoded = /^basic +([A-Za-z0-9+/_-]+=*) *$/i.exec(value)?.[1]
  if (encoded === undefined) return []
  const pair = Buffer.from(encoded, 'base64').toString()
  const colon = pair.indexOf(':')
  return colon === -1 ? [] : [pair, pair.slice(colon + 1)]
}
