/** Characters that may not stand in a request line. */
const NOT_IN_REQUEST_LINE = /[^\x21-\x7e]+/gu
const IN_REQUEST_LINE_ONLY = /^[\x21-\x7e]*$/

/** A URL of HTTP in two parts. */
export interface SplitUrl {
  /** Scheme and host, as the URL has them. */
  readonly head: string
  /** The same with the scheme in lower case: it names the connections. */
  readonly origin: string
  /** What goes into the request line. */
  readonly path: string
}

/**
 * Cuts a URL into the origin, which names the connections, and the target, which goes into the request line.
 * The path is not normalized but sent as it was rendered, since a `..` from a row must not lead elsewhere.
 * Characters that may not stand in a request line are percent-encoded as browsers do. A fragment is left out.
 * Throws for a text that is no URL of HTTP. The error does not show its path and query, which may hold
 * secrets.
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

/** True if the URL has exactly this head, which `splitUrl` gave. */
export function hasHead(url: string, head: string): boolean {
  if (!url.startsWith(head)) return false
  const next = url.charAt(head.length)
  return next === '/' || next === '' || next === '?' || next === '#'
}

/** What goes into the request line for a URL with this head. */
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
