import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { connect } from 'node:tls'
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
    expect(describeError(coded(code))).not.toContain('certificate')
  })
})

it('says why TLS fails with a server that speaks none, without a place in OpenSSL', async () => {
  const server = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const [error] = (await once(connect({ port, host: '127.0.0.1' }), 'error')) as [Error]
  server.close()
  expect(describeError(error)).toBe(
    'TLS failed: wrong version number. The server may speak no TLS at this port: check scheme and port of the URL',
  )
})
