/**
 * Destinations whose tokens come from an authorization server: from the server to the API, in both profiles.
 */
import type { ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listen } from '@sluice/testkit/listen'
import {
  ACCOUNT,
  CLIENT_ID,
  CLIENT_SECRET,
  REDIRECT_URI,
  startOidcServer,
  type OidcServer,
} from '@sluice/testkit/oidc-server'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { finished } from './project-folder.ts'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import type { Opened, Profile } from './profiles.ts'

const KEY = EncryptionKeys.generate()
const ENV = { SLUICE_SECRET_CLIENT: CLIENT_SECRET, SLUICE_SECRET_CLIENT_FOR: '127.0.0.1' }
const CLIENT = `clientId: ${CLIENT_ID}, clientSecret: '\${secret:client}'`

/** The time-out is short, since a run after a kill waits for it, and 2 s more (PROTOCOL.md §8). */
const yaml = (oauth2: string): string =>
  peopleYaml({ destination: `auth: { oauth2: { ${oauth2} } }`, sync: 'timeout: 5s' })

/** Gives the stderr of a process, once it has this text. The process goes on. */
export async function untilSaid({ stderr }: ChildProcess, what: RegExp): Promise<string> {
  const said = Promise.withResolvers<string>()
  let text = ''
  stderr?.on('data', (part: Buffer) => {
    text += part.toString()
    if (what.test(text)) said.resolve(text)
  })
  stderr?.once('end', () => said.reject(new Error(`it ended, and said: ${text}`)))
  return await said.promise
}

/** The tests of one profile. */
export function oauthTests(profile: Profile): void {
  describe(`an API with OAuth 2, ${profile.name}`, () => {
    let idp: OidcServer
    let api: Server
    let port: number
    let seen: { readonly token: string; readonly valid: boolean }[] = []
    const closing: AsyncDisposable[] = []

    beforeEach(async () => {
      seen = []
      idp = await startOidcServer()
      api = createServer((request, response) => {
        const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
        void idp.isValid(token).then(valid => {
          seen.push({ token, valid })
          // An API that gives back what it got.
          response.writeHead(valid ? 200 : 401, { 'content-type': 'application/json' })
          response.end(JSON.stringify({ token, authorization: request.headers.authorization }))
        })
      })
      const listening = await listen(api)
      port = listening.port
      closing.push(idp, listening)
    })
    afterEach(async () => {
      for (const each of closing.splice(0).reverse()) await each[Symbol.asyncDispose]()
    })

    const open = async (oauth2: string, env: { readonly [name: string]: string } = {}): Promise<Opened> => {
      const files = { 'sluice.yaml': yaml(oauth2), 'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cid') }
      const base = { API_URL: `http://127.0.0.1:${port}`, SLUICE_ENCRYPTION_KEY: KEY }
      const opened = await profile.open({ files, env: { ...base, ...ENV, ...env }, here: true })
      closing.push(opened)
      return opened
    }
    const tokens = (): string[] => [...new Set(seen.map(({ token }) => token))]

    it('gets a token once for many requests and processes, masked wherever it is shown', async () => {
      const { project, stored, logs } = await open(
        `grant: client-credentials, tokenUrl: '${idp.tokenUrl}', ${CLIENT}`,
      )
      const preview = await project.sluice('preview', SYNC, '--json')
      expect(preview.stdout).toContain('"authorization":"***"')
      const run = await project.run(SYNC)
      expect(run, JSON.stringify(run.view)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      expect(seen.map(({ valid }) => valid)).toEqual([true, true, true])
      expect(idp.tokenRequests).toHaveLength(1)
      const all = [
        preview.stdout,
        JSON.stringify(await project.attempts()),
        await stored(SYNC),
        logs(),
      ].join()
      for (const secret of [...tokens(), CLIENT_SECRET]) expect(all).not.toContain(secret)
    })

    it('gets another token once the API refuses one, for no try of the rows', async () => {
      const { project } = await open(`grant: client-credentials, tokenUrl: '${idp.tokenUrl}', ${CLIENT}`)
      expect((await project.run(SYNC)).exitCode).toBe(0)
      for (const token of tokens()) await idp.revoke(token)
      seen = []
      await project.write('people.csv', peopleCsv('1,Anna', '2,Bob', '3,Cid'))
      const run = await project.run(SYNC)
      expect(run, JSON.stringify(run.view)).toMatchObject({ exitCode: 0 })
      // A process of the embedded profile asks anew in any case.
      if (profile.name === 'distributed') expect(seen.map(({ valid }) => valid)).toEqual([false, true])
      expect(idp.tokenRequests).toHaveLength(2)
      const attempts = await project.attempts('--run', run.view.id)
      const statuses = attempts.map(({ status, outcome }) => `${String(status)} ${outcome}`)
      expect(statuses.sort()).toEqual(
        profile.name === 'distributed' ? ['200 delivered', '401 rejected'] : ['200 delivered'],
      )
    })

    it('gets tokens for a user name and password, and renews them with the refresh token that came', async () => {
      const password = `username: ${ACCOUNT.username}, password: '\${secret:ann}'`
      const { project, stored } = await open(
        `grant: password, tokenUrl: '${idp.tokenUrl}', ${CLIENT}, ${password}`,
        { SLUICE_SECRET_ANN: ACCOUNT.password, SLUICE_SECRET_ANN_FOR: '127.0.0.1' },
      )
      expect((await project.run(SYNC)).exitCode).toBe(0)
      for (const token of tokens()) await idp.revoke(token)
      await project.write('people.csv', peopleCsv('1,Anna', '2,Bob', '3,Cid'))
      const run = await project.run(SYNC)
      expect(run, JSON.stringify(run.view)).toMatchObject({ exitCode: 0 })
      expect(idp.tokenRequests.map(request => request.get('grant_type'))).toEqual([
        'password',
        'refresh_token',
      ])
      const list = await project.sluice('secret', 'list', '--json')
      expect(JSON.parse(list.stdout)).toMatchObject({ secrets: [{ kind: 'login', name: 'api' }] })
      const all = (await stored(SYNC)) + JSON.stringify(await project.attempts())
      const refresh = idp.tokenRequests[1]?.get('refresh_token') ?? ''
      for (const secret of [...tokens(), refresh, ACCOUNT.password]) expect(all).not.toContain(secret)
    })

    it('is logged in to by a person in a browser, whose login is renewed, and is not used for other hosts', async () => {
      const login = `grant: authorization-code, tokenUrl: '${idp.tokenUrl}', authorizationUrl: '${idp.authorizationUrl}', ${CLIENT}`
      const params = `scopes: [openid, offline_access], authorizationParams: { redirect_uri: '${REDIRECT_URI}', prompt: consent }`
      const { project, stored } = await open(`${login}, ${params}`)
      if (profile.name === 'embedded') {
        const early = await project.run(SYNC)
        expect(JSON.stringify(early.view.error)).toContain('sluice auth api')
      }
      const child = project.start('auth', 'api', '--yes', '--json')
      const [url = ''] = /^http\S+$/m.exec(await untilSaid(child, /paste/)) ?? []
      const redirected = new URL(await idp.logIn(url))
      const forged = new URL(redirected)
      forged.searchParams.set('state', 'of-somebody-else')
      expect((await fetch(forged)).status).toBe(400)
      expect((await fetch(redirected)).status).toBe(200)
      expect(JSON.parse((await finished(child)).stdout)).toMatchObject({ destination: 'api', renews: true })
      const run = await project.run(SYNC)
      expect(run, JSON.stringify(run.view)).toMatchObject({ exitCode: 0 })
      for (const token of tokens()) await idp.revoke(token)
      await project.write('people.csv', peopleCsv('1,Anna', '2,Bob', '3,Cid'))
      expect((await project.run(SYNC)).exitCode).toBe(0)
      const asked = idp.tokenRequests.map(request => request.get('grant_type'))
      expect(asked.slice(0, 2)).toEqual(['authorization_code', 'refresh_token'])
      expect(new Set(asked.slice(1))).toEqual(new Set(['refresh_token']))
      // Each refresh token was used once: the server would end the login otherwise.
      const used = idp.tokenRequests.slice(1).map(request => request.get('refresh_token') ?? '')
      expect(new Set(used).size).toBe(used.length)
      const all = (await stored(SYNC)) + JSON.stringify(await project.attempts())
      for (const secret of [...tokens(), ...used]) expect(all).not.toContain(secret)
      if (profile.name === 'distributed') return
      const elsewhere = yaml(`${login}, ${params}`).replace('${API_URL}', `http://localhost:${port}`)
      await project.write('sluice.yaml', elsewhere)
      await project.write('people.csv', peopleCsv('1,Annabel', '2,Bob', '3,Cid'))
      seen = []
      const refused = await project.sluice('run', SYNC, '--json')
      expect(refused.stdout).toMatch(/may not go to (the destination at )?localhost/)
      expect(seen).toEqual([])
    })

    it('keeps a refresh token that was replaced, though the process is killed before the next use', async () => {
      if (profile.name === 'distributed') return
      const password = `username: ${ACCOUNT.username}, password: '\${secret:ann}'`
      const { project } = await open(`grant: password, tokenUrl: '${idp.tokenUrl}', ${CLIENT}, ${password}`, {
        SLUICE_SECRET_ANN: ACCOUNT.password,
        SLUICE_SECRET_ANN_FOR: '127.0.0.1',
      })
      expect((await project.run(SYNC)).exitCode).toBe(0)
      for (let round = 0; round < 2; round += 1) {
        await project.write('people.csv', peopleCsv(`1,Ann${round}`, '2,Bob', '3,Cid'))
        const killed = project.start('run', SYNC)
        // The token is there and was sent nowhere.
        api.once('connection', () => killed.kill('SIGKILL'))
        await finished(killed)
      }
      const run = await project.run(SYNC)
      expect(run, JSON.stringify(run.view)).toMatchObject({ exitCode: 0 })
      // Had a refresh token been used twice, the server would have ended the login, and the password be used.
      const asked = idp.tokenRequests.map(request => request.get('grant_type'))
      expect(asked).toEqual(['password', 'refresh_token', 'refresh_token', 'refresh_token'])
    })

    it('rejects what the API refuses with new tokens, too, and asks for no token each time', async () => {
      const { project } = await open(`grant: client-credentials, tokenUrl: '${idp.tokenUrl}', ${CLIENT}`)
      api.removeAllListeners('request')
      api.on('request', (_request, response) => response.writeHead(401).end())
      const run = await project.run(SYNC)
      expect(run.view.triggers['added']).toMatchObject({ rejected: 3, delivered: 0 })
      expect(idp.tokenRequests.length).toBeLessThanOrEqual(2)
    })

    it('gets tokens of a server by FAPI 2.0, for whose issuer its key signs', async () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), use: 'sig' }] }
      const strict = await startOidcServer({ clientAuthentication: 'private_key_jwt', jwks, fapi: true })
      closing.push(strict)
      const client = `grant: client-credentials, tokenUrl: '${strict.tokenUrl}', clientId: ${CLIENT_ID}`
      const signs = `clientAuthentication: private_key_jwt, privateKey: '\${secret:signs}'`
      const { project, stored } = await open(`${client}, ${signs}, assertionAudience: '${strict.url}'`, {
        SLUICE_SECRET_SIGNS: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        SLUICE_SECRET_SIGNS_FOR: '127.0.0.1',
      })
      const run = await project.run(SYNC)
      expect(run, JSON.stringify(run.view)).toMatchObject({ exitCode: 0 })
      expect(seen.map(({ valid }) => valid)).toEqual([true, true, true])
      const [asked] = strict.tokenRequests
      expect(await stored(SYNC)).not.toContain(asked?.get('client_assertion'))
      if (profile.name === 'distributed') return
      await project.write('sluice.yaml', yaml(`${client}, ${signs}`))
      await project.write('people.csv', peopleCsv('1,Anna', '2,Bob', '3,Cid'))
      const refused = await project.run(SYNC)
      expect(JSON.stringify(refused.view.error)).toContain('wants its issuer as `assertionAudience`')
    })

    it('sends nothing while there is no token, and leaves its rows unsent', async () => {
      if (profile.name === 'distributed') return
      const { project } = await open(`grant: client-credentials, tokenUrl: '${idp.tokenUrl}', ${CLIENT}`, {
        SLUICE_SECRET_CLIENT: 'not-the-right-one',
      })
      const run = await project.run(SYNC)
      expect(run.view.triggers['added']).toMatchObject({ unsent: 3, rejected: 0 })
      expect(run.view).toMatchObject({ status: 'failed' })
      expect(JSON.stringify(run.view.error)).toMatch(
        /no token from 127\.0\.0\.1:\d+\/token: HTTP 401: invalid_client/,
      )
      expect(JSON.stringify(await project.failed(SYNC))).not.toContain('not-the-right-one')
      expect(seen).toEqual([])
    })
  })
}
