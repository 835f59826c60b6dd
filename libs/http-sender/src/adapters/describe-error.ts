/** Says what errors of undici and of the network mean. */
import { messageOf } from '@sluice/contracts/errors'

/** The head of an answer may have at most this many bytes. */
export const MAX_HEAD_BYTES = 64 * 1024

/** Descriptions of errors of undici whose own messages are not clear. */
const MEANINGS: { readonly [code: string]: string } = {
  UND_ERR_HEADERS_OVERFLOW: `the headers of the answer are larger than ${MAX_HEAD_BYTES} bytes`,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer broke off before its content-length',
}

/** Describes an error of the network for people. */
export function describeError(error: Error): string {
  // A failed connection to a name with several addresses has all their errors, and no message of its own.
  if (error instanceof AggregateError && error.message === '') {
    const messages = error.errors.map(each => messageOf(each))
    return [...new Set(messages)].join('; ')
  }
  const code = codeOf(error) ?? ''
  const text = error.message === '' ? error.name : error.message
  if (text === 'bad upgrade')
    return 'the API answered 101 (Switching Protocols), which the request had not asked for'
  const refusal = certificateRefusal(error)
  if (refusal !== null) return refusal
  if (code.startsWith('ERR_SSL_')) return tlsFailure(error, code)
  if (code === 'UND_ERR_SOCKET') return `the connection broke: ${text}`
  return MEANINGS[code] ?? text
}

/**
 * Returns OpenSSL's reason. The message of the error also has the id of a thread, and a line of OpenSSL's
 * source.
 */
function tlsFailure(error: Error, code: string): string {
  const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : code
  const hint =
    code === 'ERR_SSL_WRONG_VERSION_NUMBER'
      ? '. The server may speak no TLS at this port: check scheme and port of the URL'
      : ''
  return `TLS failed: ${reason}${hint}`
}

/** Codes of undici for requests that cannot be sent to any server. */
const INVALID = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
])

/** True if the request cannot become an HTTP request. */
export function isInvalidRequest(error: Error): boolean {
  return INVALID.has(codeOf(error) ?? '')
}

const REFUSAL =
  /_ALERT_(HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED|ACCESS_DENIED|UNKNOWN_CA|(?:BAD|NO|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(?:EXPIRED|REVOKED|UNKNOWN))$/

/**
 * Describes the server's refusal of the client certificate, or of its absence; null for another error. The
 * server has then not taken the request, although in TLS 1.3 the refusal comes only after the request was
 * sent.
 */
export function certificateRefusal(error: Error): string | null {
  const [, alert] = REFUSAL.exec(codeOf(error) ?? '') ?? []
  if (alert === undefined) return null
  const wants = 'a client certificate, `tls: { cert, key }`'
  if (alert === 'CERTIFICATE_REQUIRED') return `the server wants ${wants}`
  const words = alert.toLowerCase().replaceAll('_', ' ')
  if (alert === 'HANDSHAKE_FAILURE' || alert === 'NO_CERTIFICATE')
    return `the server broke off the TLS handshake (${words}): it may want ${wants}`
  return `the server does not take the client certificate of \`tls\`: ${words}`
}

/** Returns the code of an error of Node or undici. */
export function codeOf(error: Error): string | null {
  return 'code' in error && typeof error.code === 'string' ? error.code : null
}
