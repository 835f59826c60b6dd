/**
 * The rules for the head of an HTTP request. Resources are checked when they are validated. Rendered rows and
 * filled-in secrets are checked during a run. A text that passes is sent unchanged. Every `…Fault` returns
 * null for a right text, and otherwise the words that follow "wanted" in a message.
 */
import { fillSecrets, secretNames } from '../secret-references.ts'

/** The name of a header (RFC 9110 §5.1). */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Characters that no header value can carry: controls, and those beyond Latin-1 (RFC 9110 §5.5). */
export const NOT_IN_HEADER_VALUE = /[^\t\x20-\x7e\x80-\xff]/u

/**
 * Headers that belong to a connection or follow from a body. No request may set one.
 */
export const OF_THE_CONNECTION: readonly string[] = [
  ...['connection', 'content-length', 'expect', 'keep-alive', 'te', 'trailer', 'transfer-encoding'],
  ...['upgrade', 'proxy-connection'],
]

/** The header that carries the idempotency key if a destination names no other. */
const IDEMPOTENCY_HEADER = 'Idempotency-Key'

/** The beginning of a Liquid tag or output. A text that is the same for all rows may not have one. */
const LIQUID = /\{[{%]/

/** Checks a header's value, which is trimmed already. */
export function headerValueFault(name: string, value: string): string | null {
  const [wrong] = NOT_IN_HEADER_VALUE.exec(value) ?? []
  if (wrong !== undefined) {
    if (/[\p{Cc}]/u.test(wrong)) return 'a header value without line breaks and other control characters'
    const shown = `${JSON.stringify(wrong)} (${codeOf(wrong)})`
    return `a header value of Latin-1 characters, which ${shown} is not; encode it`
  }
  return name.toLowerCase() === 'host' && !isHost(value) ? HOST_WANTED : null
}

/** Checks a destination's header, which may refer to secrets and is no template. */
export function fixedHeaderFault(name: string, text: string): string | null {
  if (LIQUID.test(text)) return 'a text without Liquid, which goes into the `headers` of a trigger'
  return headerValueFault(name, text)
}

/** Checks the value of a destination's query parameter. */
export function fixedQueryFault(text: string): string | null {
  if (LIQUID.test(text)) return 'a text without Liquid, which goes into the `path` of a trigger'
  if (/[\r\n]/.test(text)) return 'a text without line breaks'
  return text.isWellFormed() ? null : 'a text without half a character'
}

/** Checks the name of a destination's query parameter. */
export function queryNameFault(name: string): string | null {
  return name === '' ? 'text that is not empty' : fixedQueryFault(name)
}

export const HOST_WANTED = 'a host, with or without a port, such as api.example.com:8443'

/**
 * True for `host`, `host:port`, `[address]` and `[address]:port` (RFC 9110 §7.2), with the names and
 * addresses that servers really have.
 */
export function isHost(text: string): boolean {
  const [, host = '', port] = /^(\[[^\]]*\]|[A-Za-z0-9._-]+)(?::(\d+))?$/.exec(text) ?? []
  if (host === '' || (port !== undefined && !isPort(port))) return false
  return URL.canParse(`http://${host}/`)
}

/** Finds two names that mean the same header. Returns null if there are none. */
export function findSameHeader(names: readonly string[]): readonly [string, string] | null {
  const seen = new Map<string, string>()
  for (const name of names) {
    const earlier = seen.get(name.toLowerCase())
    if (earlier !== undefined) return [earlier, name]
    seen.set(name.toLowerCase(), name)
  }
  return null
}

/** Finds the header whose place the destination's idempotency key would take, or null. */
export function clashWithKey(
  names: readonly string[],
  idempotencyHeader: string | false | undefined,
): string | null {
  if (idempotencyHeader === false) return null
  const key = (idempotencyHeader ?? IDEMPOTENCY_HEADER).toLowerCase()
  return names.find(name => name.toLowerCase() === key) ?? null
}

/** The words that follow "wanted" for a header whose place the idempotency key would take. */
export function clashWanted(name: string): string {
  return (
    `no \`${name}\` here: Sluice sends the idempotency key in it. ` +
    'Leave it out, or write `idempotencyHeader: false`, or another name, at the destination'
  )
}

/** The index of a `%` in a URL that begins no encoded byte (RFC 3986 §2.1), or −1. */
export function strayPercent(text: string): number {
  return text.search(/%(?![0-9A-Fa-f]{2})/)
}

/** A segment of a path that leads to another path (RFC 3986 §5.2.4), percent-encoded or not. */
export const DOT_SEGMENT = /^(\.|%2e){1,2}$/i

const BASE_URL_WANTED = 'an http:// or https:// URL without user, password, query or fragment'

interface UrlParts {
  readonly scheme: string
  readonly authority: string
  /** The text behind the authority, as it is written. */
  readonly rest: string
}

/** Splits an http or https URL without changing its parts. Returns null for any other text. */
function partsOf(text: string): UrlParts | null {
  const [, scheme = '', authority = '', rest = ''] = /^(https?):\/\/([^/?#]+)(.*)$/is.exec(text) ?? []
  return authority === '' ? null : { scheme: scheme.toLowerCase(), authority, rest }
}

/**
 * Checks a destination's `baseUrl`, whose path may hold secrets. White space around it does not count.
 */
export function baseUrlFault(written: string): string | null {
  const text = written.trim()
  if (LIQUID.test(text))
    return 'an http:// or https:// URL without Liquid, which goes into the `path` of a trigger'
  const parts = partsOf(text)
  const namesSecret = secretNames(parts?.authority ?? text).length > 0
  if (namesSecret) return 'an http:// or https:// URL in which a secret stands in the path alone'
  if (parts === null) return BASE_URL_WANTED
  if (text.includes('\\')) return 'an http:// or https:// URL without `\\`: write `/`'
  if (/[\s\p{Cc}]/u.test(text))
    return 'an http:// or https:// URL without white space and control characters: write a space as %20'
  return authorityFault(parts) ?? pathFault(fillSecrets(parts.rest, () => 'secret'))
}

function authorityFault({ authority }: UrlParts): string | null {
  if (authority.includes('@'))
    return 'an http:// or https:// URL without user and password: write `headers: { Authorization: "Basic ${secret:NAME}" }`'
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority) ?? []
  if (!authority.startsWith('[') && authority.split(':').length > 2)
    return 'an http:// or https:// URL with an IPv6 address between brackets, such as http://[::1]:8080'
  if (port === '') return 'an http:// or https:// URL with a port after the `:`'
  if (port !== undefined && !isPort(port)) return 'an http:// or https:// URL with a port from 1 to 65535'
  const url = URL.parse(`http://${host}/`)
  if (url === null || host === '' || /[{}]/.test(host))
    return 'an http:// or https:// URL with the name or address of a host'
  // `URL` reads 010.0.0.1 and 1.2.3 as other addresses, and decodes names.
  const isAsWritten = host.startsWith('[') || /[^\0-\x7f]/.test(host) || host.toLowerCase() === url.hostname
  return isAsWritten
    ? null
    : `an http:// or https:// URL with its host as it is (this one is read as \`${url.hostname}\`)`
}

function pathFault(path: string): string | null {
  if (path.includes('?'))
    return 'an http:// or https:// URL without `?`: parameters for every request go into `query`'
  if (path.includes('#')) return 'an http:// or https:// URL without `#`, of which nothing is ever sent'
  if (/["<>^`{|}]/.test(path))
    return 'an http:// or https:// URL without any of " < > ^ ` { | }: write them percent-encoded'
  if (strayPercent(path) >= 0)
    return 'an http:// or https:// URL in which two hexadecimal digits follow each `%`: write %25 for a `%`'
  if (path.split('/').some(segment => DOT_SEGMENT.test(segment)))
    return 'an http:// or https:// URL without `.` and `..` as segments, which would lead elsewhere'
  return path.isWellFormed() ? null : 'an http:// or https:// URL without half a character'
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535
}

/**
 * Turns a valid base URL into the form that is sent: scheme and host in lower case, the host in ASCII, no
 * default port. In the path only characters beyond ASCII change: they are percent-encoded.
 */
export function plainBaseUrl(written: string): string {
  const parts = partsOf(written.trim())
  const origin = parts === null ? null : URL.parse(`${parts.scheme}://${parts.authority}`)?.origin
  if (parts === null || origin === undefined || origin === null) return written
  return `${origin}${parts.rest.replaceAll(/[^\0-\x7f]+/g, text => encodeURIComponent(text))}`
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** The host of a URL, without the brackets of an IPv6 address. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

/** The host as URLs write it: with brackets around an IPv6 address. */
export function withBrackets(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

/** True if the host, with brackets or without, is this machine. */
export function isLoopback(host: string): boolean {
  const bare = withoutBrackets(host)
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare)
}

/** Decodes a percent-encoded text. Returns a text that is not encoded as it is. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
