/** The rows of an attempt, and the body that it sent. They stand in its request. */
import type { Attempt, Request, Unrenderable } from '@sluice/contracts/records'
import { RECORDED_BODY_BYTES } from '@sluice/domain/bounded-text'

const MAX_CHARACTER_BYTES = 4

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The keys of the rows that it sent: of all rows of the request, or of those of a part. */
export function keysOf(
  { part }: { readonly part?: readonly number[] | null },
  rows: readonly { readonly key: string }[],
): string[] {
  const keys = rows.map(row => row.key)
  // An attempt of an earlier version has no such field.
  return part === null || part === undefined ? keys : part.flatMap(position => keys[position] ?? [])
}

/** The body that it sent, as text. Null if it had none, or it is not held any more. */
export function requestBodyOf(attempt: Attempt, body: Uint8Array | null): string | null {
  if (Array.isArray(attempt.part)) return attempt.partBody
  return body === null ? null : decoder.decode(body)
}

/** Of a part, the beginning of the body is recorded, without its length. */
export function isPartCut({ part, partBody }: Pick<Attempt, 'part' | 'partBody'>): boolean {
  return Array.isArray(part) && mayBeCut(partBody)
}

/** True for a body as long as one that was cut, after a whole character. */
export function mayBeCut(body: string | null): boolean {
  if (body === null || body.length * 3 < RECORDED_BODY_BYTES) return false
  return new TextEncoder().encode(body).length > RECORDED_BODY_BYTES - MAX_CHARACTER_BYTES
}

/** The body of a request. Null if it has none, or could not be rendered. */
export function bodyOf(request: Request | Unrenderable): Uint8Array | null {
  return 'body' in request ? request.body : null
}
