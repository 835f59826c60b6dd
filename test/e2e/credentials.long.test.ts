/**
 * A destination that wants to know who sends: a certificate of the client, a user name and a password. And
 * one that services may not reach, since it stands in a private network.
 */
import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { encryptedKey, makeCertificate } from '@sluice/testkit/make-certificates'
import { listen } from '@sluice/testkit/listen'
import { embeddedProfile, type Opened, type Profile } from './profiles.ts'

const PASSWORD = 'correct horse battery staple'
const PASSPHRASE = 'open sesame, please'

const authority = makeCertificate({ name: 'test authority' })
const client = makeCertificate({ name: 'sluice', by: authority, days: 20 })

function project(destination: string): string {
  return `kind: source
name: files
type: duckdb
path: .
---
kind: model
name: rows
source: files
sql: select * from 'rows.csv'
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
${destination}---
kind: sync
name: rows
model: rows
destination: api
triggers:
  added: { method: PUT, path: '/rows/{{ id }}' }
`
}

function credentialsSuite(profile: Profile): void {
  describe(`a destination that asks who sends, ${profile.name}`, () => {
    const opened: AsyncDisposable[] = []
    afterEach(async () => {
      for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]()
    })

    const open = async (yaml: string, env: { readonly [name: string]: string }): Promise<Opened> => {
      const files = {
        'sluice.yaml': yaml,
        'rows.csv': 'id\n1\n',
        'authority.pem': authority.cert,
        'client.pem': client.cert,
      }
      const made = await profile.open({ files, env, here: true })
      opened.push(made)
      return made
    }

    it('gets a certificate and a password, which stand nowhere else', async () => {
      const seen: string[] = []
      const wants = { ...makeCertificate({ by: authority }), ca: authority.cert, requestCert: true }
      const api = createServer(wants, (request, response) => {
        const { subject } = (request.socket as TLSSocket).getPeerCertificate()
        seen.push([request.method, request.url, subject.CN, request.headers.authorization].join(' '))
        // An API that gives back what it got.
        response.end(JSON.stringify(request.headers))
      })
      const { project: folder, stored } = await open(
        project(`auth: { basic: { username: me, password: '\${secret:password}' } }
tls:
  ca: \${file:authority.pem}
  cert: \${file:client.pem}
  key: \${secret:key}
  passphrase: \${secret:passphrase}
allowPrivateNetwork: true
`),
        {
          API_URL: `https://localhost:${await listening(api)}`,
          SLUICE_SECRET_PASSWORD: PASSWORD,
          SLUICE_SECRET_KEY: encryptedKey(client, PASSPHRASE),
          SLUICE_SECRET_PASSPHRASE: PASSPHRASE,
          SLUICE_SECRET_PASSWORD_FOR: 'localhost',
          SLUICE_SECRET_KEY_FOR: 'localhost',
          SLUICE_SECRET_PASSPHRASE_FOR: 'localhost',
        },
      )
      const encoded = Buffer.from(`me:${PASSWORD}`).toString('base64')
      const preview = await folder.sluice('preview', 'rows', '--json')
      expect(preview.stdout).toContain('"authorization":"***"')
      const run = await folder.run('rows')
      expect(run, JSON.stringify(run.view)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      // The server's certificate is good for a year.
      const soon = /^The certificate that Sluice shows to the destination ends at .*Z \(CN=sluice\)\.$/
      expect(run.view.notices).toEqual([expect.stringMatching(soon)])
      expect(seen).toEqual([`PUT /rows/1 sluice Basic ${encoded}`])
      const [attempt] = await folder.attempts()
      expect(attempt?.requestHeaders).toMatchObject({ authorization: '***' })
      const all = `${await stored('rows')} ${JSON.stringify(attempt)} ${preview.stdout}`
      for (const secret of [PASSWORD, encoded, PASSPHRASE]) expect(all).not.toContain(secret)
    })

    it('is reached in a private network, unless the operator refuses it and the destination does not ask', async () => {
      let asked = 0
      const api = createServer(makeCertificate({ by: authority }), (_request, response) => {
        asked += 1
        response.end()
      })
      const url = `https://localhost:${await listening(api)}`
      const env = { API_URL: url, SLUICE_DESTINATION_PRIVATE_NETWORKS: 'refused' }
      const tls = 'tls: { ca: "${file:authority.pem}" }\n'
      const { project: folder } = await open(project(tls), env)
      const refused = await folder.run('rows')
      expect(refused).toMatchObject({ exitCode: 3, view: { status: 'warning' } })
      expect(await folder.failed('rows')).toMatchObject([
        {
          key: '1',
          error: expect.stringMatching(/localhost leads to .*, not public.*`allowPrivateNetwork: true`/),
        },
      ])
      expect(asked).toBe(0)
      await folder.write('sluice.yaml', project(`${tls}allowPrivateNetwork: true\n`))
      expect((await folder.run('rows')).view.status).toBe('success')
      expect(asked).toBe(1)
    })

    const listening = async (server: Server): Promise<number> => {
      const listens = await listen(server)
      opened.push(listens)
      return listens.port
    }
  })
}

credentialsSuite(embeddedProfile)
