/**
 * Requests to the API of the server that the pages come from. Answers are checked against the shapes of
 * `libs/contracts`, so that a server of another version is told apart from a mistake in a page.
 */
import type { Problem } from '@sluice/contracts/api'
import type { AnswerOf, AskedOf } from '@sluice/contracts/api/operation-shapes'
import { API_BASE, OPERATIONS, requestOf, type OperationName } from '@sluice/contracts/api/operations'
import { isAnswer, isLongAnswer, loadShapes, mismatch, type OpenApi } from './answer-checks.ts'

/** From so many characters on, an answer is checked in pieces. */
const LONG_TEXT = 50_000
const OK = 200

/** The problem that the server told instead of an answer, or that there was no answer. */
export class ApiError extends Error {
  /** The HTTP status; 0 if there was no answer. */
  readonly status: number
  readonly problem: Problem | null
  /** In how many milliseconds the same request may be made again. */
  readonly retryAfterMs: number | null

  constructor(status: number, message: string, more: { problem?: Problem; retryAfterMs?: number } = {}) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.problem = more.problem ?? null
    this.retryAfterMs = more.retryAfterMs ?? null
  }

  /** The places that the server found something wrong at. */
  get details(): Problem['errors'] {
    return this.problem?.errors ?? []
  }
}

/** Listeners that want to know when the session has ended. */
const onSignedOut = new Set<() => void>()

export function whenSignedOut(listener: () => void): () => void {
  onSignedOut.add(listener)
  return () => onSignedOut.delete(listener)
}

interface Asking {
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks for an operation. Empty fields stay out of a query. Throws `ApiError` for anything but a 2xx answer in
 * the shape that is expected.
 */
export async function call<Name extends OperationName>(
  name: Name,
  input: AskedOf<Name>,
  { signal }: Asking = {},
): Promise<AnswerOf<Name>> {
  const isRead = OPERATIONS[name].method === 'GET'
  const fields = Object.entries(input).filter(([, value]) => !isRead || value !== '')
  const { method, url, body } = requestOf(name, Object.fromEntries(fields))
  const text = await answered(url, {
    ...(body === undefined ? { method } : { method, body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  })
  const value = text === '' ? undefined : parse(text)
  const known = text.length > LONG_TEXT ? await isLongAnswer(name, value) : undefined
  if (isAnswer(name, value, known)) return value
  throw new ApiError(OK, mismatch(name, value))
}

/** Asks the server for the versions of its API. Errors: as `call`. */
export async function openApi({ signal }: { readonly signal: AbortSignal }): Promise<OpenApi> {
  const text = await answered(`${API_BASE}/openapi.json`, { method: 'GET', signal })
  return (await loadShapes()).openApi.parse(parse(text))
}

async function answered(url: string, init: RequestInit): Promise<string> {
  const type = init.body === undefined ? {} : { 'content-type': 'application/json' }
  const headers = { accept: 'application/json', ...type }
  const response = await send(url, { ...init, credentials: 'same-origin', headers })
  const text = await response.text()
  if (!response.ok) throw await refusedBy(response, text)
  return text
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await ((init.method === 'GET' ? askedBefore(url) : null) ?? fetch(url, init))
  } catch (error) {
    if (init.signal?.aborted === true) throw error
    throw new ApiError(0, 'The server does not answer. The page tries again by itself.')
  }
}

async function refusedBy(response: Response, text: string): Promise<ApiError> {
  if (response.status === 401) for (const listener of onSignedOut) listener()
  const said = await problemIn(text)
  const retryAfter = Number(response.headers.get('retry-after') ?? 'none')
  const more = {
    ...(said === null ? {} : { problem: said }),
    ...(Number.isFinite(retryAfter) ? { retryAfterMs: retryAfter * 1000 } : {}),
  }
  return new ApiError(response.status, said?.detail ?? `The server answered ${response.status}.`, more)
}

/** Null for a text that tells of no problem, and where the shapes cannot be loaded. */
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
 * The requests that `public/first.js` has sent while the scripts of the page were on their way. Each answer
 * is taken once.
 */
declare global {
  interface Window {
    sluiceAsked?: Map<string, Promise<Response>>
  }
}

/** The answer to a GET of this address that was asked for at the start; null if there is none. */
function askedBefore(url: string): Promise<Response> | null {
  if (typeof window === 'undefined') return null
  const answer = window.sluiceAsked?.get(url) ?? null
  window.sluiceAsked?.delete(url)
  return answer
}
