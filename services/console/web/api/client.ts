/**
 * Requests to the API of the server that the pages come from. Answers are checked against the schemas of
 * `libs/contracts`, so that a server of another version is noticed.
 */
import type { Problem } from '@sluice/contracts/api'
import type { AnswerOf, AskedOf } from '@sluice/contracts/api/operation-shapes'
import { API_BASE, OPERATIONS, requestOf, type OperationName } from '@sluice/contracts/api/operations'
import { isAnswer, isLongAnswer, loadShapes, mismatch, type OpenApi } from './answer-checks.ts'
import { heard } from './connection.ts'

/** A longer answer is checked in chunks. */
const LONG_TEXT = 50_000
const OK = 200
/** The server ends each read sooner. If a read takes longer, nobody answers on its connection. */
const READ_LIMIT_MS = 75_000
/** A proxy gives these answers for a server that it does not reach. */
const GATEWAY: ReadonlySet<number> = new Set([502, 503, 504])

/** The server answered with a problem, or did not answer. */
export class ApiError extends Error {
  /** The HTTP status. 0 if no answer came, or only the answer of a proxy. */
  readonly status: number
  readonly problem: Problem | null
  /** The milliseconds after which the same request may be made again. */
  readonly retryAfterMs: number | null

  constructor(status: number, message: string, more: { problem?: Problem; retryAfterMs?: number } = {}) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.problem = more.problem ?? null
    this.retryAfterMs = more.retryAfterMs ?? null
  }

  /** The places at which the server found a mistake. */
  get details(): Problem['errors'] {
    return this.problem?.errors ?? []
  }
}

export const noAnswer = (): ApiError =>
  new ApiError(0, 'The server does not answer. The page tries again by itself.')

/** The listeners that are called when the session has ended. */
const onSignedOut = new Set<() => void>()

export function whenSignedOut(listener: () => void): () => void {
  onSignedOut.add(listener)
  return () => onSignedOut.delete(listener)
}

interface Asking {
  readonly signal?: AbortSignal | undefined
  /** The time until a read without an answer fails. */
  readonly limitMs?: number
}

/**
 * Calls an operation. Empty fields stay out of a query. Throws `ApiError` unless a 2xx answer comes that fits
 * the schema.
 */
export async function call<Name extends OperationName>(
  name: Name,
  input: AskedOf<Name>,
  { signal, limitMs = READ_LIMIT_MS }: Asking = {},
): Promise<AnswerOf<Name>> {
  const isRead = OPERATIONS[name].method === 'GET'
  const fields = Object.entries(input).filter(([, value]) => !isRead || value !== '')
  const { method, url, body } = requestOf(name, Object.fromEntries(fields))
  const signals = [signal ?? [], isRead ? AbortSignal.timeout(limitMs) : []].flat()
  const text = await answered(url, {
    ...(body === undefined ? { method } : { method, body: JSON.stringify(body) }),
    signal: AbortSignal.any(signals),
  })
  const value = text === '' ? undefined : parse(text)
  const known = text.length > LONG_TEXT ? await isLongAnswer(name, value) : undefined
  if (isAnswer(name, value, known)) return value
  throw new ApiError(OK, mismatch(name, value))
}

/** Asks the server for the versions of its API. Throws like `call`. */
export async function openApi({ signal }: { readonly signal: AbortSignal }): Promise<OpenApi> {
  const text = await answered(`${API_BASE}/openapi.json`, { method: 'GET', signal })
  return (await loadShapes()).openApi.parse(parse(text))
}

async function answered(url: string, init: RequestInit & { signal: AbortSignal }): Promise<string> {
  const type = init.body === undefined ? {} : { 'content-type': 'application/json' }
  const headers = { accept: 'application/json', ...type }
  const { response, text } = await send(url, { ...init, credentials: 'same-origin', headers })
  if (response.ok) {
    heard()
    return text
  }
  const refused = await refusedBy(response, text)
  if (refused.status !== 0) heard()
  throw refused
}

type Answer = { readonly response: Response; readonly text: string }

async function send(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Answer> {
  const { signal } = init
  try {
    const early = init.method === 'GET' ? askedBefore(url) : null
    const response = await (early === null ? fetch(url, init) : orAborted(early, signal))
    return { response, text: await orAborted(response.text(), signal) }
  } catch (error) {
    const reason: unknown = signal.reason
    const isLate = reason instanceof DOMException && reason.name === 'TimeoutError'
    if (signal.aborted && !isLate) throw error
    throw noAnswer()
  }
}

/** A request of `public/first.js` has no signal, so the wait for its answer is aborted here. */
async function orAborted<Value>(value: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    signal.throwIfAborted()
    return await Promise.race([value, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function refusedBy(response: Response, text: string): Promise<ApiError> {
  if (response.status === 401) for (const listener of onSignedOut) listener()
  const said = await problemIn(text)
  if (said === null && GATEWAY.has(response.status)) return noAnswer()
  const retryAfter = Number(response.headers.get('retry-after') ?? 'none')
  const more = {
    ...(said === null ? {} : { problem: said }),
    ...(Number.isFinite(retryAfter) ? { retryAfterMs: retryAfter * 1000 } : {}),
  }
  return new ApiError(response.status, said?.detail ?? `The server answered ${response.status}.`, more)
}

/** Parses a problem. Null for any other text, and if the schemas cannot be loaded. */
async function problemIn(text: string): Promise<Problem | null> {
  try {
    return (await loadShapes()).problem.safeParse(parse(text)).data ?? null
  } catch {
    return null
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * The requests that `public/first.js` sent while the scripts of the page were loading. Each answer is taken
 * once.
 */
declare global {
  interface Window {
    sluiceAsked?: Map<string, Promise<Response>>
  }
}

/** Takes the answer to a GET that `public/first.js` sent. Null if there is none. */
function askedBefore(url: string): Promise<Response> | null {
  if (typeof window === 'undefined') return null
  const answer = window.sluiceAsked?.get(url) ?? null
  window.sluiceAsked?.delete(url)
  return answer
}
