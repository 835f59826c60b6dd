/** Writes a request as a shell command. Its secrets are masked, as on all pages. */
import type { AttemptView } from '@sluice/contracts/api'

type Sent = Pick<AttemptView, 'method' | 'url' | 'requestHeaders' | 'requestBody' | 'requestBodyBytes'>

/** Within single quotes, only a single quote has a meaning for the shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** `curl` computes these headers itself. */
const OWN: ReadonlySet<string> = new Set(['content-length', 'host', 'connection', 'transfer-encoding'])

export function asCurl({ method, url, requestHeaders, requestBody, requestBodyBytes }: Sent): string {
  const headers = Object.entries(requestHeaders)
    .filter(([name]) => !OWN.has(name.toLowerCase()))
    .map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`)
  const body = requestBody === null ? [] : [`--data-raw ${quoted(requestBody)}`]
  const cut = requestBodyBytes === undefined ? [] : ['# Only the beginning of the body is kept.\n']
  return cut.join('') + [`curl -X ${method} ${quoted(url)}`, ...headers, ...body].join(' \\\n  ')
}
