/**
 * The pretend APIs of this folder share this module. Each one keeps the objects that it was told, and answers
 * as its vendor documents: status codes, bodies, limits. A test can let it lose answers, or answer in its
 * stead.
 */
import {
  startScriptedApi,
  type RecordedRequest,
  type RequestMatch,
  type ScriptedAnswer,
  type ScriptedApi,
  type ScriptedApiOptions,
} from '@sluice/testkit/scripted-api'

/** A request, taken apart. */
export interface Call {
  readonly request: RecordedRequest
  /** The decoded groups of the route's pattern. */
  readonly parts: readonly string[]
  readonly query: URLSearchParams
}

export interface Route {
  readonly method: string
  /** Matches the whole path, without the query. */
  readonly path: RegExp
  readonly answer: (call: Call) => ScriptedAnswer
}

export interface Vendor {
  /** The first one that fits answers. */
  readonly routes: readonly Route[]
  /** An answer that comes before those of all routes, such as the one to a wrong credential. */
  readonly refuse: (request: RecordedRequest) => ScriptedAnswer | null
  readonly notFound: (request: RecordedRequest) => ScriptedAnswer
}

export interface PretendApi extends AsyncDisposable {
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  /**
   * The vendor carries out the next requests that fit, and the connection breaks in place of its answers. A
   * request that it refuses before is answered, and does not count.
   */
  loseAnswers(match: RequestMatch, times: number): void
  /** The next requests that fit get this answer, and the vendor sees nothing of them. */
  answerNext(match: RequestMatch, answer: ScriptedAnswer, times?: number): void
}

/** Starts it on 127.0.0.1. */
export async function startPretendApi(vendor: Vendor, options: ScriptedApiOptions = {}): Promise<PretendApi> {
  const api: ScriptedApi = await startScriptedApi(options)
  const answer = (request: RecordedRequest): ScriptedAnswer => answerOf(vendor, request)
  api.on({}, answer)
  const loseAnswers = (match: RequestMatch, times: number): void =>
    api.on(
      match,
      request => {
        const refused = vendor.refuse(request)
        if (refused === null) return { ...answer(request), fault: 'reset-after-reading' }
        loseAnswers(match, 1)
        return refused
      },
      { times },
    )
  return {
    url: api.url,
    requests: api.requests,
    loseAnswers,
    answerNext: (match, scripted, times = 1) => api.on(match, scripted, { times }),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  }
}

function answerOf(vendor: Vendor, request: RecordedRequest): ScriptedAnswer {
  const refused = vendor.refuse(request)
  if (refused !== null) return refused
  const { pathname, searchParams } = new URL(request.url, 'http://api')
  for (const { method, path, answer } of vendor.routes) {
    const found = method === request.method ? path.exec(pathname) : null
    if (found === null) continue
    return answer({ request, parts: found.slice(1).map(decodeURIComponent), query: searchParams })
  }
  return vendor.notFound(request)
}

export function json(
  status: number,
  body: unknown,
  headers: { readonly [name: string]: string } = {},
): ScriptedAnswer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }
}

/** A body as JSON; undefined if it is none. What it looks like is up to the vendor's own checks. */
export function parsed(request: RecordedRequest): unknown {
  try {
    return JSON.parse(request.body)
  } catch {
    return undefined
  }
}

/** A map of anything, or one without entries in place of anything else. */
export function asMap(value: unknown): { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function asText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
