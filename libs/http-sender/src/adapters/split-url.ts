/** Whatever may not stand in a request line. */
const NOT_IN_REQUEST_LINE = /[^\x21-\x7e]+/gu

/**
 * Cuts a URL into what names the connections and what goes into the request line, without normalizing the
 * path: it is sent as it was rendered, since `..` that came out of a row must not lead elsewhere. What may
 * not stand in a request line is percent-encoded as browsers do, and a fragment is left out. Throws if the
 * URL has another scheme.
 */
export function splitUrl(url: string): { readonly origin: string; readonly path: string } {
  const host = url.startsWith('http://') ? 7 : url.startsWith('https://') ? 8 : 0
  if (host === 0) {
    throw new Error(
      `the URL has to start with http:// or https://, found ${JSON.stringify(url.slice(0, 100))}`,
    )
  }
  const tail = /[/?#]/g
  tail.lastIndex = host
  const start = tail.exec(url)?.index ?? url.length
  const hash = url.indexOf('#', start)
  const raw = url.slice(start, hash === -1 ? undefined : hash)
  const path = raw.startsWith('/') ? raw : `/${raw}`
  return { origin: url.slice(0, start), path: path.replace(NOT_IN_REQUEST_LINE, percentEncoded) }
}

function percentEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}
