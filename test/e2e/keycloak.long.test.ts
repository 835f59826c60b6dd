/** A real Keycloak gives the tokens, in the ways that its clients prove who they are. */
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { cp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { listen } from '@sluice/testkit/listen'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { cached, ensureJava, mavenArchive } from '../../deploy/local/install.ts'
import { freePorts } from '../../deploy/local/ports.ts'
import { runService } from '../../deploy/local/service.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { peopleCsv, peopleYaml, SYNC } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const VERSION = '26.4.7'
const REALM = 'shop'
const ADMIN = { user: 'admin', password: 'admin-of-the-test' }
const SECRET = 'the-secret-of-the-client-with-one'
const PERSON = { username: 'ann', password: 'the-password-of-ann' }
const WITH_SECRET = 'with-secret'
const WITH_KEY = 'with-key'
/** The client whose tokens end soon. */
const TOKEN_S = 5
const SHORT_LIVED = 'short-lived'

const granted = z.object({ access_token: z.string() })
const introspected = z.object({ active: z.boolean(), client_id: z.string().optional() })

const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ED = generateKeyPairSync('ed25519')
const pem = ({ privateKey }: typeof EC): string =>
  privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

function publicKey({ publicKey: key }: typeof EC, kid: string, alg: string): JsonWebKey {
  return { ...key.export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

const REALM_OF_TEST = {
  realm: REALM,
  enabled: true,
  clients: [
    {
      clientId: WITH_SECRET,
      secret: SECRET,
      serviceAccountsEnabled: true,
      directAccessGrantsEnabled: true,
      standardFlowEnabled: false,
    },
    {
      clientId: SHORT_LIVED,
      secret: SECRET,
      serviceAccountsEnabled: true,
      standardFlowEnabled: false,
      attributes: { 'access.token.lifespan': String(TOKEN_S) },
    },
    {
      clientId: WITH_KEY,
      clientAuthenticatorType: 'client-jwt',
      serviceAccountsEnabled: true,
      standardFlowEnabled: false,
      attributes: {
        'use.jwks.string': 'true',
        'jwks.string': JSON.stringify({
          keys: [publicKey(EC, 'ec', 'ES256'), publicKey(ED, 'ed', 'EdDSA')],
        }),
      },
    },
  ],
  users: [
    {
      ...{ username: PERSON.username, enabled: true, emailVerified: true },
      ...{ firstName: 'Ann', lastName: 'Ash', email: 'ann@example.com' },
      credentials: [{ type: 'password', value: PERSON.password, temporary: false }],
    },
  ],
}

interface Keycloak extends AsyncDisposable {
  readonly issuer: string
  readonly tokenUrl: string
  /** The client that an access token is of; null if it counts no more. */
  clientOf(token: string): Promise<string | null>
}

async function startKeycloak(): Promise<Keycloak> {
  const java = await ensureJava()
  const installed = await cached(`keycloak-${VERSION}`, folder =>
    mavenArchive(folder, `org.keycloak:keycloak-quarkus-dist:${VERSION}:tar.gz`),
  )
  const [port = 0] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`
  const issuer = `${url}/realms/${REALM}`
  const workspace = new Workspace()
  // Both its database and what it builds of itself stay out of the cached folder.
  const home = join(workspace.folder, 'keycloak')
  await cp(join(installed, `keycloak-${VERSION}`), home, { recursive: true })
  await runService(workspace, {
    name: 'registry',
    process: 'keycloak',
    address: url,
    command: [
      join(home, 'bin', 'kc.sh'),
      'start-dev',
      '--db=dev-mem',
      '--http-host=127.0.0.1',
      `--http-port=${port}`,
    ],
    options: {
      env: {
        JAVA: java,
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
        JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
        KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.user,
        KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
      },
    },
    answers: async () => (await fetch(`${url}/realms/master`)).ok,
    startTimeoutMs: 400_000,
  })
  const post = async (path: string, body: Readonly<Record<string, string>>): Promise<unknown> => {
    const answer = await fetch(`${url}${path}`, { method: 'POST', body: new URLSearchParams(body) })
    return await answer.json()
  }
  const { access_token: token } = granted.parse(
    await post('/realms/master/protocol/openid-connect/token', {
      ...{ grant_type: 'password', client_id: 'admin-cli' },
      ...{ username: ADMIN.user, password: ADMIN.password },
    }),
  )
  const made = await fetch(`${url}/admin/realms`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(REALM_OF_TEST),
  })
  if (!made.ok) throw new Error(`Keycloak answered ${made.status}: ${await made.text()}`)
  return {
    issuer,
    tokenUrl: `${issuer}/protocol/openid-connect/token`,
    async clientOf(token) {
      const { active, client_id: client = null } = introspected.parse(
        await post(`/realms/${REALM}/protocol/openid-connect/token/introspect`, {
          ...{ token, client_id: WITH_SECRET, client_secret: SECRET },
        }),
      )
      return active ? client : null
    },
    async [Symbol.asyncDispose]() {
      await workspace.close({ keepLogs: false })
    },
  }
}

describe('an API whose tokens Keycloak gives', () => {
  let keycloak: Keycloak
  let api: Awaited<ReturnType<typeof listen>>
  /** The client of each request's token. */
  let seen: (string | null)[] = []
  const tokens = new Set<string>()
  beforeAll(async () => {
    keycloak = await startKeycloak()
    const server = createServer((request, response) => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
      tokens.add(token)
      void keycloak.clientOf(token).then(client => {
        seen.push(client)
        response.writeHead(client === null ? 401 : 200).end('{}')
      })
    })
    api = await listen(server)
  }, 600_000)
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]()
    await keycloak?.[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    seen = []
    tokens.clear()
  })

  const open = (oauth2: string, limits = ''): Promise<ProjectFolder> =>
    projectFolder({
      files: {
        'project.yaml': peopleYaml({ destination: `auth: { oauth2: { ${oauth2} } }\n${limits}` }),
        'people.csv': peopleCsv('1,Ann', '2,Bob', '3,Cid'),
      },
      env: {
        API_URL: `http://127.0.0.1:${api.port}`,
        SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate(),
        SLUICE_SECRET_CLIENT: SECRET,
        SLUICE_SECRET_EC: pem(EC),
        SLUICE_SECRET_ED: pem(ED),
        SLUICE_SECRET_ANN: PERSON.password,
        ...Object.fromEntries(
          ['CLIENT', 'EC', 'ED', 'ANN'].map(name => [`SLUICE_SECRET_${name}_FOR`, '127.0.0.1']),
        ),
      },
      here: true,
    })

  it.each([
    ['its secret in the header', WITH_SECRET, `clientSecret: '\${secret:client}'`],
    ['its secret in the body', WITH_SECRET, `clientSecret: '\${secret:client}', clientAuthentication: body`],
    ['an EC key', WITH_KEY, `clientAuthentication: private_key_jwt, privateKey: '\${secret:ec}', keyId: ec`],
    [
      'an Ed25519 key',
      WITH_KEY,
      `clientAuthentication: private_key_jwt, privateKey: '\${secret:ed}', keyId: ed`,
    ],
  ])('gets its rows from a client with %s', async (_, client, proof) => {
    const { tokenUrl } = keycloak
    await using project = await open(
      `grant: client-credentials, tokenUrl: '${tokenUrl}', clientId: ${client}, ${proof}`,
    )
    const { exitCode, view } = await project.run(SYNC)
    expect(exitCode, JSON.stringify(view)).toBe(0)
    expect(seen).toEqual([client, client, client])
  })

  it('gets its rows from a client that signs for the issuer', async () => {
    const { tokenUrl, issuer } = keycloak
    await using project = await open(
      `grant: client-credentials, tokenUrl: '${tokenUrl}', clientId: ${WITH_KEY}, clientAuthentication: private_key_jwt, privateKey: '\${secret:ec}', keyId: ec, assertionAudience: '${issuer}'`,
    )
    expect((await project.run(SYNC)).exitCode).toBe(0)
    expect(seen).toEqual([WITH_KEY, WITH_KEY, WITH_KEY])
  })

  it('gets its rows from a person with a password, and says why another password gets no token', async () => {
    const { tokenUrl } = keycloak
    const client = `grant: password, tokenUrl: '${tokenUrl}', clientId: ${WITH_SECRET}, clientSecret: '\${secret:client}', username: ${PERSON.username}`
    await using project = await open(`${client}, password: '\${secret:ann}'`)
    expect((await project.run(SYNC)).exitCode).toBe(0)
    expect(seen).toEqual([WITH_SECRET, WITH_SECRET, WITH_SECRET])
    await using other = await open(`${client}, password: '\${secret:client}'`)
    const { exitCode, stdout, stderr } = await other.sluice('run', SYNC)
    expect([exitCode === 0, stdout + stderr]).toEqual([false, expect.stringContaining('invalid_grant')])
    expect(seen).toHaveLength(3)
  })

  it('gets its rows with another token once the first one ends', async () => {
    await using project = await open(
      `grant: client-credentials, tokenUrl: '${keycloak.tokenUrl}', clientId: ${SHORT_LIVED}, clientSecret: '\${secret:client}'`,
      'limits: { rate: { requests: 1, per: second } }',
    )
    const ids = [1, 2, 3, 4, 5, 6, 7, 8]
    await project.write('people.csv', peopleCsv(...ids.map(id => `${id},Ann`)))
    const { exitCode, view } = await project.run(SYNC)
    expect(exitCode, JSON.stringify(view)).toBe(0)
    expect(seen).toEqual(ids.map(() => SHORT_LIVED))
    expect(tokens.size).toBeGreaterThan(1)
  })
})
