/**
 * The cookies that carry a session, and a sign-in that has begun. Only the server reads them, and browsers do
 * not send them with requests from pages of other sites. Over TLS their names begin with `__Host-`, so that
 * no other host, and no connection without TLS, can set one.
 */
const OVER_TLS = '__Host-'

/** A cookie carries a session, or a sign-in that has begun. */
export type CookieKind = 'session' | 'sign-in'
const HTTP_PORT = '80'
/** A browser sends one session. An attacker may have planted others beside it. */
const MAX_READ = 4
const SECOND_MS = 1_000

/**
 * The name of the cookie. `host` is the header of the request. Browsers send a host's cookies to all its
 * ports, so without TLS two servers on one machine need two names.
 */
export function cookieName(
  host: string | undefined,
  isOverTls: boolean,
  kind: CookieKind = 'session',
): string {
  const [, port = HTTP_PORT] = /:(\d{1,5})$/.exec(host ?? '') ?? []
  return isOverTls ? `${OVER_TLS}sluice-${kind}` : `sluice-${kind}-${port}`
}

export interface SentCookie {
  readonly name: string
  readonly value: string
}

/**
 * The cookies of a request that may be of this kind, with those over TLS first. With `areOverTls`, browsers
 * come by TLS alone. Then cookies of the other name are ignored, since another host, or a connection without
 * TLS, may have set them.
 */
export function sentCookies(
  header: string | undefined,
  host: string | undefined,
  areOverTls: boolean,
  kind: CookieKind = 'session',
): readonly SentCookie[] {
  const pairs = (header ?? '').split(';').map(pair => pair.trim())
  return (areOverTls ? [true] : [true, false]).flatMap(isOverTls => {
    const name = cookieName(host, isOverTls, kind)
    const own = pairs.filter(pair => pair.startsWith(`${name}=`))
    return own.slice(0, MAX_READ).map(pair => ({ name, value: pair.slice(name.length + 1) }))
  })
}

/** Returns the header `Set-Cookie`. The browser keeps the cookie for `forMs`; 0 removes it. */
export function setCookie({ name, value }: SentCookie, forMs: number): string {
  const seconds = Math.max(Math.floor(forMs / SECOND_MS), 0)
  const secure = name.startsWith(OVER_TLS) ? '; Secure' : ''
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`
}
