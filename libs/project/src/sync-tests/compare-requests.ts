/** Compares the requests of a run with those that a test expects. */
import { isDeepStrictEqual } from 'node:util'
import { jsonOf } from './read-sync-tests.ts'
import type { ExpectedRequest } from './sync-test-schema.ts'
import type { SentRequest } from './sync-testing.ts'

/** A difference between a request of a run, counted from 1, and the expected one. */
export type Difference = { readonly request: number } & (
  | { readonly kind: 'field'; readonly field: string; readonly expected: unknown; readonly found: unknown }
  | { readonly kind: 'missing'; readonly expected: ExpectedRequest }
  | { readonly kind: 'unexpected'; readonly found: ExpectedRequest }
)

export function differences(
  expected: readonly ExpectedRequest[],
  found: readonly SentRequest[],
): readonly Difference[] {
  const longest = Math.max(expected.length, found.length)
  return Array.from({ length: longest }, (_, index): readonly Difference[] => {
    const [wanted, sent] = [expected[index], found[index]]
    const at = { request: index + 1 }
    if (sent === undefined) return wanted === undefined ? [] : [{ ...at, kind: 'missing', expected: wanted }]
    if (wanted === undefined) return [{ ...at, kind: 'unexpected', found: asExpected(sent, []) }]
    return fieldsThatDiffer(wanted, sent).map(field => ({ ...at, kind: 'field', ...field }))
  }).flat()
}

interface FieldDifference {
  readonly field: string
  readonly expected: unknown
  readonly found: unknown
}

function fieldsThatDiffer(
  { json, body, headers = {}, ...plain }: ExpectedRequest,
  sent: SentRequest,
): readonly FieldDifference[] {
  const wrong: FieldDifference[] = []
  const compare = (field: string, expected: unknown, found: unknown): void => {
    if (expected !== undefined && !isDeepStrictEqual(expected, found)) wrong.push({ field, expected, found })
  }
  compare('trigger', plain.trigger, sent.trigger)
  compare('method', plain.method, sent.method)
  compare('path', plain.path, sent.path)
  for (const [name, value] of Object.entries(headers))
    compare(`headers.${name}`, value, sent.headers[name.toLowerCase()] ?? null)
  compare('json', json, sent.body === null ? null : jsonOf(sent.body))
  compare('body', body, sent.body ?? '')
  return wrong
}

/**
 * A request in the form of a test file: with its body as parsed JSON where possible, and with only these
 * headers.
 */
export function asExpected(
  { trigger, method, path, headers, body }: SentRequest,
  headerNames: readonly string[],
): ExpectedRequest {
  const shown: { [name: string]: string } = {}
  for (const name of headerNames) shown[name] = headers[name.toLowerCase()] ?? ''
  const json = body === null ? undefined : jsonOf(body)
  const isText = typeof json === 'string'
  return {
    ...{ trigger, method, path },
    ...(headerNames.length === 0 ? {} : { headers: shown }),
    ...(json === undefined ? {} : isText ? { body: json } : { json }),
  }
}
