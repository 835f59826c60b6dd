/** The headers of all answers, which limit what a browser does with them. */

/**
 * An answer of the API is data that a browser may not run or show. A page may load files of this server, but
 * no script or style within its text. Browsers show neither of them in a frame.
 */
const API_POLICY = "default-src 'none'; frame-ancestors 'none'"
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // The editor underlines mistakes with an image that it writes itself.
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')
/** The pages need none of these devices. */
const NO_DEVICES = 'camera=(), microphone=(), geolocation=(), payment=(), usb=()'
/** For a year, a browser reaches this host over TLS only. */
const ONLY_TLS = 'max-age=31536000'

/** Answers hold rows of customers, hence `no-store`. A route whose answer holds none may overwrite it. */
export function headersOf({ isApi, isOverTls }: { readonly isApi: boolean; readonly isOverTls: boolean }): {
  readonly [name: string]: string
} {
  return {
    'cache-control': 'no-store',
    'content-security-policy': isApi ? API_POLICY : PAGE_POLICY,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': NO_DEVICES,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    ...(isOverTls ? { 'strict-transport-security': ONLY_TLS } : {}),
  }
}
