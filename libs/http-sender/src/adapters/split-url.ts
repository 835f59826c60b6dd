/** Whatever may not stand in a request line. */
const NOT_IN_REQUEST_LINE = /[^\x21-\x7e]+/gu

/**
 * Cuts a URL into what names the connections and what goes into the request line, without normalizing the
 * path: it is sent as it was rendered, since `..` that came out of a row must not lead elsewhere. What may
 * not stand in a request line is percent-encoded as browsers do, and a fragment is left out. Throws for what
 * is no URL of HTTP, without its path and query, which may hold secrets.
 */
export function splitUrl(url: string): { readonly origin: string; readonly path: string } {
  const scheme = /^https?:\/\//i.exec(url)?.[0]
  if (scheme === undefined) throw new Error('the URL has to start with http:// or https://')
  const tail = /[/?#]/g
  tail.lastIndex = scheme.length
  const start = tail.exec(url)?.index ?? url.length
  const host = url.slice(scheme.length, start)
  // URL parsers take it for a slash, and would look for the host elsewhere than this one does.
  if (host.includes('\\'))
    throw new Error('the host of the URL has a backslash: write / where the path begins')
  if (!URL.canParse(url.slice(0, start)))
    throw new Error(`${host === '' ? 'the URL has no host' : `${withoutUser(host)} is no host and port`}`)
  const hash = url.indexOf('#', start)
  const raw = url.slice(start, hash === -1 ? undefined : hash)
  const path = raw.startsWith('/') ? raw : `/${raw}`
  return {
    origin: scheme.toLowerCase() + host,
    path: path.replace(NOT_IN_REQUEST_LINE, percentEncoded),
  }
}

function withoutUser(host: string): string {
  return host.slice(host.lastIndexOf('@') + 1)
}

function percentEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}
