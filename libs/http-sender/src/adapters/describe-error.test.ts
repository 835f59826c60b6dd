import { describe, expect, it } from 'vitest'
import { certificateRefusal, describeError } from './describe-error.ts'

function coded(code: string): Error {
  return Object.assign(new Error('40EDA6:error:0A000410:SSL routines:alert'), { code })
}

describe('an alert of TLS in words', () => {
  it.each([
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /^the server wants a client certificate, `tls: /],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', /broke off the TLS handshake \(handshake failure\)/],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', /does not take the client certificate of `tls`: unknown ca$/],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', /does not take .*: certificate expired$/],
  ])('%s speaks of the client certificate', (code, words) => {
    expect(describeError(coded(code))).toMatch(words)
  })

  it.each(['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'ECONNRESET'])('%s says nothing of it', code => {
    expect(certificateRefusal(coded(code))).toBeNull()
    expect(describeError(coded(code))).toContain('SSL routines')
  })
})
