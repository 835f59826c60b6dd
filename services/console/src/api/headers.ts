/** The headers of all answers, which keep browsers from mischief. */

/**
 * An answer of the API is data, with which a browser may do nothing. A page may load what this server has,
 * and has no script or style of its own in its text. Neither is ever shown in a frame.
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
/** Nothing that pages here are for. */
const NO_DEVICES = 'camera=(), microphone=(), geolocation=(), payment=(), usb=()'
/** A year, in which a browser asks this host over TLS only. */
const ONLY_TLS = 'max-age=31536000'

/** `no-store`: answers hold rows of customers. A route whose answer holds none may say something else. */
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
