/** The rows of an attempt, and the body that it sent. They stand in its request. */
import type { Attempt, Request, Unrenderable } from '@sluice/contracts/records'

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

/** The body of a request. Null if it has none, or could not be rendered. */
export function bodyOf(request: Request | Unrenderable): Uint8Array | null {
  return 'body' in request ? request.body : null
}
