/**
 * One project with every kind of secret, against APIs that give back what they got, in every encoding.
 * Nothing of the secrets is in a topic, a file, a log, an output of a command or an answer of the API (R20).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encryptedKey, makeCertificate } from '@sluice/testkit/make-certificates'
import { listen } from '@sluice/testkit/listen'
import { CLIENT_ID, CLIENT_SECRET, startOidcServer } from '@sluice/testkit/oidc-server'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { bothProfiles, type Opened } from './profiles.ts'
import { ENCODINGS, stretchesFound } from './secret-stretches.ts'

/** Characters that every encoding writes in a way of its own. */
function secretOf(what: string): string {
  return `${what}-${Array.from({ length: 6 }, (_, at) => `${at}${what.slice(0, 2)}q/+"`).join('')}`
}

const BASIC = secretOf('basic')
const BEARER = secretOf('token').replaceAll('"', '~')
const QUERY = secretOf('query')
const VAULTED = secretOf('vault')
const REPLACED = secretOf('older')
const PASSPHRASE = secretOf('phrase')
const STATUSES = [200, 400, 500, 409, 302, 200, 422]
const ROWS = 16

const authority = makeCertificate({ name: 'test authority' })
const client = makeCertificate({ name: 'sluice', by: authority })
const KEY = encryptedKey(client, PASSPHRASE)

/** A destination, and a sync of the same name that sends to it. */
function way(name: string, url: string, destination: string): string {
  return `---
kind: destination
name: ${name}
baseUrl: ${url}
allowPrivateNetwork: true
breaker: false
${destination}
---
kind: sync
name: ${name}
model: rows
destination: ${name}
triggers:
  added: { method: POST, path: '/${name}/{{ id }}', capture: { at: $.at }, body: { fields: { id: id } } }
errors: { retry: now, attempts: 1, backoff: { first: 1ms, max: 1ms }, answers: [{ status: 422, as: rejected, error: $.said }] }
`
}

describe.each(bothProfiles())('after runs with secrets of all kinds, $name,', profile => {
  it('nothing of them is anywhere', { timeout: 240_000 }, async () => {
    await using closing = new AsyncDisposableStack()
    const idp = closing.use(await startOidcServer())
    const tokens = new Set<string>()
    let answered = 0
    const echo = (request: IncomingMessage, response: ServerResponse): void => {
      answered += 1
      const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
      if (bearer !== undefined) tokens.add(bearer)
      const { 'x-key': key = '', authorization = '' } = request.headers
      const query = new URL(request.url ?? '/', 'http://api').searchParams.get('api_key') ?? ''
      const password = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()
      const basic = authorization.startsWith('Basic ') ? [password, password.replace('user:', '')] : []
      const parts = [String(key), query, authorization, bearer ?? '', ...basic].filter(part => part !== '')
      const encode = ENCODINGS[answered % ENCODINGS.length] ?? String
      const said = parts.map(encode)
      const body = JSON.stringify({
        at: answered,
        said: said.join(' '),
        url: request.url,
        head: request.headers,
      })
      const status = STATUSES[answered % STATUSES.length] ?? 200
      const [first = ''] = said
      response.writeHead(status, { 'content-type': 'application/json', 'x-said': encodeURIComponent(first) })
      response.end(answered % 3 === 0 ? said.join(' was refused ') : body)
    }
    const plain = closing.use(await listen(createServer(echo)))
    const wants = { ...makeCertificate({ by: authority }), ca: authority.cert, requestCert: true }
    const encrypted = closing.use(await listen(createTlsServer(wants, echo)))
    const http = `http://127.0.0.1:${plain.port}`
    const host = `127.0.0.1:${plain.port}`
    const yaml = `kind: source
name: files
type: duckdb
path: .
---
kind: model
name: rows
source: files
sql: select range as id from range(${ROWS})
primaryKey: id
${way(
  'basic',
  `https://localhost:${encrypted.port}`,
  `auth: { basic: { username: user, password: '\${secret:basic}' } }
tls: { ca: '\${file:authority.pem}', cert: '\${file:client.pem}', key: '\${secret:key}', passphrase: '\${secret:passphrase}' }`,
)}${way('bearer', http, `auth: { bearer: '\${secret:bearer}' }\nquery: { api_key: '\${secret:query}' }`)}${way(
      'oauth',
      http,
      `auth: { oauth2: { grant: client-credentials, tokenUrl: '${idp.tokenUrl}', clientId: ${CLIENT_ID}, clientSecret: '\${secret:client}' } }`,
    )}${way('vaulted', http, `headers: { X-Key: 'k \${secret:vaulted}' }`)}`
    const env: { [name: string]: string } = {
      SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate(),
      SLUICE_PORT: '0',
    }
    const given = {
      basic: BASIC,
      key: KEY,
      passphrase: PASSPHRASE,
      bearer: BEARER,
      query: QUERY,
      client: CLIENT_SECRET,
    }
    for (const [name, value] of Object.entries(given)) {
      env[`SLUICE_SECRET_${name.toUpperCase()}`] = value
      env[`SLUICE_SECRET_${name.toUpperCase()}_FOR`] = '127.0.0.1,localhost'
    }
    const files = { 'sluice.yaml': yaml, 'authority.pem': authority.cert, 'client.pem': client.cert }
    const opened = closing.use(await profile.open({ files, env, here: true }))
    const said = await ask(opened, host)
    const texts = [...said, opened.logs(5_000), ...(await kept(opened))]
    const secrets = [
      // Every key and certificate has the same words around it.
      ...Object.values(given).map(value => value.replaceAll(/-----[^-]+-----/g, '').trim()),
      VAULTED,
      REPLACED,
      ...tokens,
      env['SLUICE_ENCRYPTION_KEY'] ?? '',
    ]
    expect(answered).toBeGreaterThanOrEqual(4 * ROWS)
    expect(tokens.size, 'an access token was used').toBeGreaterThanOrEqual(2)
    expect(texts.join('').split('***').length).toBeGreaterThan(4 * ROWS)
    expect(stretchesFound(texts, secrets)).toEqual([])
  })
})

const WAYS = ['basic', 'bearer', 'oauth', 'vaulted']

/** Runs everything, and gives all that commands and API say of it. */
async function ask({ project, serve }: Opened, host: string): Promise<readonly string[]> {
  const texts: string[] = []
  const say = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await project.sluice(...args)
    texts.push(stdout, stderr)
    return stdout
  }
  for (const value of [REPLACED, VAULTED]) {
    const { stdout, stderr } = await project.sluiceWith(value, 'secret', 'set', 'vaulted', '--for', host)
    texts.push(stdout, stderr)
  }
  await say('validate', '--connect')
  await say('preview', 'bearer')
  await say('run', '--all')
  const [last] = (JSON.parse(await say('runs', '--json')) as { runs: { id: string }[] }).runs
  await say('runs', 'show', last?.id ?? '')
  await say('attempts')
  await say('failed', 'basic')
  await say('secret', 'list')
  const url = await serve()
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`${url}${path}`)
    const text = await response.text()
    texts.push(text, JSON.stringify(Object.fromEntries(response.headers)))
    expect(response.status, `${path}: ${text}`).toBe(200)
    return text
  }
  const attempts = JSON.parse(await get('/api/v1/attempts?limit=100')) as {
    attempts: { requestId: string }[]
  }
  for (const { requestId } of attempts.attempts.slice(0, 3))
    await get(`/api/v1/attempts/${encodeURIComponent(requestId)}`)
  for (const path of ['syncs', 'runs', `runs/${last?.id ?? ''}`, 'secrets', 'resources', 'openapi.json'])
    await get(`/api/v1/${path}`)
  for (const name of WAYS) {
    await get(`/api/v1/syncs/${name}/failed`)
    await get(`/api/v1/resources/destination/${name}`)
  }
  await get('/metrics')
  return texts
}

/** All that is kept: of the log every record, and of the folder every file but the user's own. */
async function kept({ project, stored }: Opened): Promise<readonly string[]> {
  const texts = await Promise.all(WAYS.map(name => stored(name)))
  const folder = join(project.dir, '.sluice')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries)
    if (entry.isFile() && entry.name !== 'key')
      texts.push((await readFile(join(entry.parentPath, entry.name))).toString('latin1'))
  return texts
}
