/** Makes the URL and the headers of a request, to send and, with secrets masked, to show. */
import type { Request } from '@sluice/contracts/records'
import { redactHeaders, redactUrl } from '@sluice/secrets/redact'
import { urlOf, type Target } from './target.ts'

interface Headers {
  readonly [name: string]: string
}

/** The headers of requests, including the headers of their destination. */
interface Head {
  /** The headers of the request itself. */
  readonly own: Headers
  /** The headers to send, without our idempotency key. */
  readonly sent: Headers
  /** The same headers, masked. */
  readonly shown: Headers
}

/** The last head of each target, kept since the headers of most requests are equal. */
const heads = new WeakMap<Target, Head>()

/** Returns the headers of a request, including the headers of its destination. */
export function headOf({ headers: own }: Pick<Request, 'headers'>, target: Target): Head {
  const known = heads.get(target)
  if (known !== undefined && areEqual(known.own, own)) return known
  const shown = redactHeaders(mergedHeaders(target.shownHeaders, own), target.secrets)
  const head = { own, sent: mergedHeaders(target.headers, own), shown }
  heads.set(target, head)
  return head
}

function areEqual(one: Headers, other: Headers): boolean {
  let names = 0
  for (const name in one) {
    if (one[name] !== other[name]) return false
    names += 1
  }
  for (const _ in other) names -= 1
  return names === 0
}

/** A request's own headers take the place of the destination's, however the names are written. */
function mergedHeaders(destination: Headers, request: Headers): { [name: string]: string } {
  const merged: { [name: string]: string } = { ...destination }
  for (const [name, value] of Object.entries(request)) merged[name.toLowerCase()] = value
  return merged
}

/** Returns the URL of a request, masked. */
export function shownUrl({ path }: Pick<Request, 'path'>, target: Target): string {
  return redactUrl(urlOf({ baseUrl: target.shownBaseUrl }, path, target.shownQuery), target.secrets)
}

/** Returns URL and headers, masked, without the idempotency key, which belongs to an attempt. */
export function shownRequest(
  request: Pick<Request, 'path' | 'headers'>,
  target: Target,
): { readonly url: string; readonly headers: Headers } {
  return { url: shownUrl(request, target), headers: headOf(request, target).shown }
}
