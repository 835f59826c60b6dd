/**
 * Requests to the API of the server that the pages come from. Answers are checked against the shapes of
 * `libs/contracts`, so that a server of another version is told apart from a mistake in a page.
 */
import type { Problem } from '@sluice/contracts/api'
import {
  isAnswer,
  isLongAnswer,
  loadShapes,
  mismatch,
  type Answer,
  type AnswerName,
} from './answer-checks.ts'
import { askedBefore } from './asked-before.ts'

export const API = '/api/v1'

/** From so many characters on, an answer is checked in pieces. */
const LONG_TEXT = 50_000

/** What the server said instead of an answer, or that there was none. */
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

export type QueryValue = string | number | boolean | readonly string[] | null | undefined

export interface ApiRequest<Name extends AnswerName> {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly query?: { readonly [name: string]: QueryValue }
  readonly body?: unknown
  readonly headers?: { readonly [name: string]: string }
  readonly answer: Name
  readonly signal?: AbortSignal
}

/** Listeners that want to know when the session has ended. */
const onSignedOut = new Set<() => void>()

export function whenSignedOut(listener: () => void): () => void {
  onSignedOut.add(listener)
  return () => onSignedOut.delete(listener)
}

/** Throws `ApiError` for anything but a 2xx answer in the shape that is expected. */
export async function call<Name extends AnswerName>(
  path: string,
  request: ApiRequest<Name>,
): Promise<Answer<Name>> {
  const { method = 'GET', query, body, headers, answer, signal } = request
  const response = await send(`${API}${path}${searchOf(query)}`, {
    method,
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  })
  const text = await response.text()
  if (!response.ok) throw await refusedBy(response, text)
  const value = text === '' ? undefined : parse(text)
  const known = text.length > LONG_TEXT ? await isLongAnswer(answer, value) : undefined
  if (isAnswer(answer, value, known)) return value
  throw new ApiError(response.status, mismatch(answer, value))
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

export function searchOf(query: ApiRequest<AnswerName>['query'] = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue
    if (Array.isArray(value)) for (const each of value) search.append(name, String(each))
    else search.set(name, String(value))
  }
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}
