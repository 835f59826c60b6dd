/** The rows of an attempt, and the bytes that it sent and received. Its request has the rows and the body. */
import type { Attempt, Request, Unrenderable } from '@sluice/contracts/records'
import { RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'
import type { AttemptDetails } from './port.ts'

const MAX_CHARACTER_BYTES = 4

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The keys of the rows that an attempt sent: all rows of its request, or the rows of a part. */
export function keysOf(
  { part }: { readonly part?: readonly number[] | null },
  rows: readonly { readonly key: string }[],
): string[] {
  const keys = rows.map(row => row.key)
  // An attempt of an earlier version has no field `part`.
  return part === null || part === undefined ? keys : part.flatMap(position => keys[position] ?? [])
}

/** A body, or its beginning, with the length of the whole one. */
export interface KeptBody {
  readonly body: Uint8Array | null
  readonly bodyBytes: number
}

/**
 * The headers and bodies of an attempt; `kept` is the body of its request, and null if it is not held any
 * more.
 */
export function attemptDetails(attempt: Attempt, kept: KeptBody | null): AttemptDetails {
  const { requestHeaders, responseHeaders, responseBody, part, partBody } = attempt
  const isOfPart = Array.isArray(part)
  const body = kept?.body ?? null
  const isCut = kept !== null && !isOfPart && kept.bodyBytes > (body?.length ?? 0)
  return {
    requestHeaders: { ...requestHeaders },
    requestBody: isOfPart ? partBody : body === null ? null : decoder.decode(body),
    ...(isCut ? { requestBodyBytes: kept.bodyBytes } : isPartCut(attempt) ? { requestBodyBytes: null } : {}),
    responseHeaders: { ...responseHeaders },
    responseBody,
  }
}

/** The whole body of a request that is held. */
export function wholeBody(request: Request | Unrenderable): KeptBody {
  const body = bodyOf(request)
  return { body, bodyBytes: body?.length ?? 0 }
}

/** True if only the beginning of a part's body is recorded. Its length is not recorded then. */
function isPartCut({ part, partBody }: Pick<Attempt, 'part' | 'partBody'>): boolean {
  return Array.isArray(part) && mayBeCut(partBody)
}

/** True if a body is so long that it may be the recorded beginning of a longer one. */
export function mayBeCut(body: string | null): boolean {
  if (body === null || body.length * 3 < RECORDED_BODY_BYTES) return false
  return new TextEncoder().encode(body).length > RECORDED_BODY_BYTES - MAX_CHARACTER_BYTES
}

/** The body of a request; null if it has none, or could not be rendered. */
export function bodyOf(request: Request | Unrenderable): Uint8Array | null {
  return 'body' in request ? request.body : null
}
