/** The promises on how connections are opened: certificates of both sides, private networks, proxies. */
import { createServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { connect } from 'node:net'
import type { TLSSocket, TlsOptions as ServerTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { asPfx, encryptedKey, makeCertificate } from '@sluice/testkit/make-certificates'
import { listen } from '@sluice/testkit/listen'
import type { ConnectionOptions, HttpSender, SendResult } from '../src/port.ts'

interface Proxy {
  readonly url: string
  /** Hosts that are reached without it. */
  readonly except?: string
}

export function connectionsContract(
  name: string,
  open: (options: { readonly proxy?: Proxy }) => HttpSender,
): void {
  describe(`the connections of the HTTP sender ${name}`, () => {
    const opened: AsyncDisposable[] = []
    afterEach(async () => {
      for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]()
    })
    const sender = (options: { readonly proxy?: Proxy } = {}): HttpSender => {
      const made = open(options)
      opened.push(made)
      return made
    }
    const listening = async (server: Server): Promise<number> => {
      const listens = await listen(server)
      opened.push(listens)
      return listens.port
    }
    /** A server over TLS that answers with the name of the certificate that it was shown. */
    const tlsServer = (options: ServerTls): Promise<number> =>
      listening(
        createHttpsServer(options, (request, response) => {
          const shown = (request.socket as TLSSocket).getPeerCertificate()
          response.end(`hello ${Object.hasOwn(shown, 'subject') ? String(shown.subject.CN) : 'stranger'}`)
        }),
      )
    const get = (
      url: string,
      connection?: ConnectionOptions,
      over: HttpSender = sender(),
      headers: { readonly [name: string]: string } = {},
    ): Promise<SendResult> =>
      over.send({
        method: 'GET',
        url,
        headers,
        body: null,
        timeoutMs: 10_000,
        signal: new AbortController().signal,
        ...(connection === undefined ? {} : { connection }),
      })
    const refused = (error: RegExp) => ({
      kind: 'failed',
      reason: 'not-sent',
      error: expect.stringMatching(error),
    })

    describe('over TLS', () => {
      const authority = makeCertificate({ name: 'test authority' })
      const good = makeCertificate({ by: authority })
      const tls = { ca: authority.cert }

      it('trusts the authorities that it is given, and no other', async () => {
        const url = `https://localhost:${await tlsServer(good)}/`
        expect(await get(url, { tls })).toMatchObject({ kind: 'answered', body: 'hello stranger' })
        expect(await get(url)).toMatchObject(refused(/unable to verify|self-signed/))
        const other = makeCertificate({ name: 'another authority' })
        expect(await get(url, { tls: { ca: other.cert } })).toMatchObject(
          refused(/unable to verify|self-signed/),
        )
      })

      it.each([
        ['has expired', makeCertificate({ by: authority, days: -1 }), /certificate has expired/],
        [
          'is for another name',
          makeCertificate({ by: authority, hosts: ['other.example'] }),
          /does not match/,
        ],
      ])('refuses a server whose certificate %s, unless it must not check', async (_what, pair, error) => {
        const url = `https://localhost:${await tlsServer(pair)}/`
        expect(await get(url, { tls })).toMatchObject(refused(error))
        const blind = { tls: { ...tls, rejectUnauthorized: false } }
        expect(await get(url, blind)).toMatchObject({ kind: 'answered' })
        // A connection that was opened without looking serves nobody who looks.
        expect(await get(url, { tls })).toMatchObject(refused(error))
      })

      it.each(['host', 'Host', 'HOST'])(
        'expects the name of the URL, whatever a header `%s` says, and keeps the connection',
        async name => {
          const asked: (string | false | null)[] = []
          const site = createHttpsServer(good, ({ headers }, to) => to.end(headers.host))
          site.on('secureConnection', socket => asked.push(socket.servername))
          const port = await listening(site)
          const over = sender()
          for (const host of ['other.example', 'third.example:8443'])
            for (const at of ['localhost', '127.0.0.1'])
              expect(await get(`https://${at}:${port}/`, { tls }, over, { [name]: host })).toMatchObject({
                body: host,
              })
          expect(asked).toEqual(['localhost', false])
          const other = makeCertificate({ by: authority, hosts: ['other.example'] })
          const elsewhere = await tlsServer(other)
          for (const at of ['localhost', '127.0.0.1'])
            expect(
              await get(`https://${at}:${elsewhere}/`, { tls }, over, { [name]: 'other.example' }),
            ).toMatchObject(refused(/does not match|not in the cert/))
        },
      )

      it('tells what both sides showed, of the newest connection', async () => {
        const client = makeCertificate({ name: 'the client', by: authority, days: 20 })
        const passphrase = 'open sesame'
        const url = `https://localhost:${await tlsServer({ ...good, requestCert: true, rejectUnauthorized: false })}/`
        const over = sender()
        const answered = await get(url, { tls: { ...tls, pfx: asPfx(client, passphrase), passphrase } }, over)
        expect(answered).toMatchObject({
          tls: {
            protocol: 'TLSv1.3',
            server: {
              subject: 'CN=localhost',
              issuer: 'CN=test authority',
              names: ['localhost', '127.0.0.1'],
            },
            client: { subject: 'CN=the client', issuer: 'CN=test authority' },
          },
        })
        const shown = answered.kind === 'answered' ? answered.tls : undefined
        const days = ((shown?.client?.validUntil ?? 0) - Date.now()) / 86_400_000
        expect(Math.round(days)).toBe(20)
        expect(JSON.stringify(shown)).not.toContain(passphrase)
        const stranger = await get(url, { tls }, over)
        expect(stranger).toMatchObject({ tls: { server: { subject: 'CN=localhost' }, client: null } })
        const plain = await get(`http://localhost:${await listening(createServer((_, to) => to.end()))}/`)
        expect(plain).not.toHaveProperty('tls')
      })

      it('shows its own certificate: in PEM, with an encrypted key, and as PKCS #12', async () => {
        const client = makeCertificate({ name: 'the client', by: authority })
        const wants = { ...good, ca: authority.cert, requestCert: true, rejectUnauthorized: false }
        const url = `https://localhost:${await tlsServer(wants)}/`
        const passphrase = 'open sesame'
        const ways = [
          client,
          { cert: client.cert, key: encryptedKey(client, passphrase), passphrase },
          { pfx: asPfx(client, passphrase), passphrase },
        ]
        const over = sender()
        for (const way of ways)
          expect(await get(url, { tls: { ...tls, ...way } }, over)).toMatchObject({
            body: 'hello the client',
          })
        expect(await get(url, { tls }, over)).toMatchObject({ body: 'hello stranger' })
      })

      it('knows that nothing was sent if the server breaks off the handshake for want of a certificate', async () => {
        // In TLS 1.3 a server of Node says so by closing the connection, which may mean anything.
        const wants = { ...good, ca: authority.cert, requestCert: true, maxVersion: 'TLSv1.2' } as const
        const url = `https://localhost:${await tlsServer(wants)}/`
        expect(await get(url, { tls })).toMatchObject(refused(/it may want a client certificate, `tls: /))
      })

      it('cannot send with a key that does not belong to the certificate, and says so', async () => {
        const url = `https://localhost:${await tlsServer(good)}/`
        const { key } = makeCertificate()
        expect(await get(url, { tls: { ...tls, cert: good.cert, key } })).toMatchObject({
          kind: 'failed',
          reason: 'invalid',
          error: expect.stringMatching(/key values mismatch/),
        })
      })
    })

    describe('kept out of private networks', () => {
      const guarded = { allowPrivateNetwork: false }

      it.each([
        '127.0.0.1',
        '127.1',
        '2130706433',
        '0x7f.0.0.1',
        '0.0.0.0',
        '[::1]',
        '[::]',
        '[::ffff:127.0.0.1]',
        '[::ffff:7f00:1]',
        '[64:ff9b::7f00:1]',
        '[2002:7f00:1::]',
        'localhost',
      ])('refuses %s, where a server would have answered', async host => {
        let asked = 0
        const port = await listening(createServer((_request, response) => response.end(`${(asked += 1)}`)))
        expect(await get(`http://${host}:${port}/`, guarded)).toMatchObject(refused(/allowPrivateNetwork/))
        expect(asked).toBe(0)
      })

      it.each([
        '10.0.0.1',
        '172.31.0.1',
        '192.168.1.1',
        '169.254.169.254',
        '100.64.0.1',
        '[fe80::1]',
        '[fd00::1]',
      ])('refuses %s without trying it', async host => {
        expect(await get(`http://${host}/`, guarded)).toMatchObject(refused(/is not a public address/))
      })

      it('shares no connection with those that may go there', async () => {
        const port = await listening(createServer((_request, response) => response.end('here')))
        const over = sender()
        const url = `http://localhost:${port}/`
        expect(await get(url, {}, over)).toMatchObject({ kind: 'answered' })
        expect(await get(url, guarded, over)).toMatchObject(refused(/localhost leads to .*127\.0\.0\.1/))
      })
    })

    describe('through a proxy', () => {
      const authority = makeCertificate({ name: 'test authority' })
      const tls = { ca: authority.cert }
      /** A proxy that opens tunnels for whoever has the password, and writes down where to. */
      const startProxy = async (): Promise<{ readonly port: number; readonly places: string[] }> => {
        const places: string[] = []
        const server = createServer()
        server.on('connect', (request, socket) => {
          const { 'proxy-authorization': login = '' } = request.headers
          if (Buffer.from(login.replace('Basic ', ''), 'base64').toString() !== 'me:p@ss') {
            socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
            return
          }
          places.push(request.url ?? '')
          const beyond = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
            socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
            beyond.pipe(socket).pipe(beyond)
          })
          for (const each of [beyond, socket])
            each.on('error', () => void [beyond.destroy(), socket.destroy()])
        })
        return { port: await listening(server), places }
      }

      it('sends what is https through it, with its password, and the server proves itself as ever', async () => {
        const proxy = await startProxy()
        const port = await tlsServer(makeCertificate({ by: authority }))
        const over = sender({ proxy: { url: `http://me:p%40ss@127.0.0.1:${proxy.port}` } })
        const url = `https://localhost:${port}/`
        expect(await get(url, { tls }, over)).toMatchObject({ kind: 'answered', body: 'hello stranger' })
        expect(proxy.places).toEqual([`localhost:${port}`])
        expect(await get(url, {}, over)).toMatchObject(refused(/unable to verify|self-signed/))
      })

      it('reaches what is http, and what is excepted, directly', async () => {
        const proxy = await startProxy()
        const port = await tlsServer(makeCertificate({ by: authority }))
        const plain = await listening(createServer((_request, response) => response.end('plain')))
        const url = `http://me:p%40ss@127.0.0.1:${proxy.port}`
        const except = 'other.example, localhost'
        expect(
          await get(`https://localhost:${port}/`, { tls }, sender({ proxy: { url, except } })),
        ).toMatchObject({
          kind: 'answered',
        })
        expect(await get(`http://localhost:${plain}/`, {}, sender({ proxy: { url } }))).toMatchObject({
          body: 'plain',
        })
        expect(proxy.places).toEqual([])
      })

      it('says so if the proxy refuses or is not there, without the password', async () => {
        const { port } = await startProxy()
        const wrong = sender({ proxy: { url: `http://me:sesame@127.0.0.1:${port}` } })
        const refusal = await get('https://localhost:1/', { tls }, wrong)
        expect(refusal).toMatchObject(refused(/the proxy 127.0.0.1:\d+ answered 407 for localhost:1/))
        const gone = await get(
          'https://localhost:1/',
          { tls },
          sender({ proxy: { url: 'http://127.0.0.1:1' } }),
        )
        expect(gone).toMatchObject(refused(/no tunnel through the proxy 127.0.0.1:1: .*ECONNREFUSED/))
        expect(JSON.stringify([refusal, gone])).not.toContain('sesame')
      })

      it('expects the name of the proxy from a proxy over TLS, and not that of the server beyond it', async () => {
        const asked: string[] = []
        const SNICallback = (name: string, done: (error: Error) => void): void => {
          asked.push(name)
          done(new Error('enough'))
        }
        const port = await tlsServer({ ...makeCertificate({ by: authority }), SNICallback })
        const over = sender({ proxy: { url: `https://localhost:${port}` } })
        expect(await get('https://api.example/', { tls }, over)).toMatchObject(refused(/no tunnel/))
        expect(asked).toEqual(['localhost'])
      })

      it('refuses private addresses that it can tell before it asks the proxy', async () => {
        const proxy = await startProxy()
        const over = sender({ proxy: { url: `http://me:p%40ss@127.0.0.1:${proxy.port}` } })
        for (const host of ['10.0.0.1', 'localhost'])
          expect(await get(`https://${host}/`, { allowPrivateNetwork: false }, over)).toMatchObject(
            refused(/allowPrivateNetwork/),
          )
        expect(proxy.places).toEqual([])
      })
    })
  })
}
