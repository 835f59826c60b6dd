/** A request as people see it: with the URL and the headers that it is sent with, secrets masked. */
import type { Request } from '@sluice/contracts/records'
import { redactHeaders, redactUrl } from '@sluice/secrets/redact'
import { urlOf, type Target } from './target.ts'

interface Headers {
  readonly [name: string]: string
}

/** A request's own headers take the place of the destination's, however the names are written. */
export function mergedHeaders(destination: Headers, request: Headers): { [name: string]: string } {
  const merged: { [name: string]: string } = { ...destination }
  for (const [name, value] of Object.entries(request)) merged[name.toLowerCase()] = value
  return merged
}

/** All but the idempotency key, which belongs to an attempt. */
export function shownRequest(
  { path, headers }: Pick<Request, 'path' | 'headers'>,
  target: Target,
): { readonly url: string; readonly headers: { [name: string]: string } } {
  return {
    url: redactUrl(urlOf({ baseUrl: target.shownBaseUrl }, path, target.shownQuery), target.secrets),
    headers: redactHeaders(mergedHeaders(target.shownHeaders, headers), target.secrets),
  }
}
