/** Splits URLs into the part that names a connection and the part for the request line. */

/** Characters that a request line must not contain. */
const NOT_IN_REQUEST_LINE = /[^\x21-\x7e]+/gu
const IN_REQUEST_LINE_ONLY = /^[\x21-\x7e]*$/

/** An HTTP URL in two parts. */
export interface SplitUrl {
  /** Scheme and host, as the URL writes them. */
  readonly head: string
  /** The head with the scheme in lower case. It names the connections. */
  readonly origin: string
  /** The part for the request line. */
  readonly path: string
}

/**
 * Splits a URL. The path is not normalized, since a `..` from a row must not lead elsewhere. Characters that
 * a request line must not contain are percent-encoded as browsers do. A fragment is left out. Throws for a
 * text that is no HTTP URL. The error does not show path and query, which may contain secrets.
 */
export function splitUrl(url: string): SplitUrl {
  const scheme = /^https?:\/\//i.exec(url)?.[0]
  if (scheme === undefined) throw new Error('the URL has to start with http:// or https://')
  const tail = /[/?#]/g
  tail.lastIndex = scheme.length
  const start = tail.exec(url)?.index ?? url.length
  const host = url.slice(scheme.length, start)
  // URL parsers take a backslash for a slash, and would find another host than this function does.
  if (host.includes('\\'))
    throw new Error('the host of the URL has a backslash: write / where the path begins')
  const head = url.slice(0, start)
  if (!URL.canParse(head))
    throw new Error(`${host === '' ? 'the URL has no host' : `${withoutUser(host)} is no host and port`}`)
  return { head, origin: scheme.toLowerCase() + host, path: pathAfter(head, url) }
}

/** True if the URL has exactly this head, which `splitUrl` returned. */
export function hasHead(url: string, head: string): boolean {
  if (!url.startsWith(head)) return false
  const next = url.charAt(head.length)
  return next === '/' || next === '' || next === '?' || next === '#'
}

/** Returns the part for the request line of a URL with this head. */
export function pathAfter(head: string, url: string): string {
  const hash = url.indexOf('#', head.length)
  const raw = url.slice(head.length, hash === -1 ? undefined : hash)
  const path = raw.startsWith('/') ? raw : `/${raw}`
  return IN_REQUEST_LINE_ONLY.test(path) ? path : path.replace(NOT_IN_REQUEST_LINE, percentEncoded)
}

function withoutUser(host: string): string {
  return host.slice(host.lastIndexOf('@') + 1)
}

function percentEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

/** Returns the header for the user name and password of a URL; null if it has none. */
export function basicAuthorization({ username, password }: URL): string | null {
  if (username === '' && password === '') return null
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}
