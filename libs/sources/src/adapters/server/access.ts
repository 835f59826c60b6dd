/** How to reach a database server: the fields of a source with its secrets filled in. */
import { SluiceError } from '@sluice/contracts/errors'
import { KeyFault, openPrivateKey } from '@sluice/http-sender/private-keys'
import { useBySource } from '@sluice/domain/secret-uses'
import type { MysqlSourceSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import { fillSecrets, type SecretFor } from '@sluice/contracts/secret-references'

export interface ServerAccess {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  /** Empty for none. */
  readonly password: string
  /** Null: the connection is not encrypted. */
  readonly tls: {
    readonly ca?: string
    readonly cert?: string
    readonly key?: string
    readonly rejectUnauthorized: boolean
  } | null
  /** Null where private networks may be reached; else what permits it, in words. */
  readonly guarded: string | null
  /** Most time for a query. */
  readonly timeoutMs: number | null
}

/**
 * What the operator says of sources in private networks: `allowed` and `refused` are the default for a source
 * that does not say, and `never` is true for every source.
 */
export type PrivateNetworks = 'allowed' | 'refused' | 'never'

/** Time to open a connection, login included. */
export const CONNECT_TIMEOUT_MS = 10_000

/**
 * Fills in the secrets, for one connection. Throws `config` if the result is not a URL or leads to another
 * server than `url` says, and the errors of `secretFor`.
 */
export function serverAccess(
  spec: PostgresSourceSpec | MysqlSourceSpec,
  secretFor: SecretFor,
  privateNetworks: PrivateNetworks = 'allowed',
): ServerAccess {
  const { ca, cert, key, insecure = false } = spec.tls ?? {}
  const use = useBySource(spec)
  if (use === null) throw new SluiceError('config', `Source ${spec.name}: its \`url\` is not a URL.`)
  const { host, port } = use
  const fill = (text: string): string => fillSecrets(text, name => secretFor(name, use))
  const filled = fill(spec.url)
  const url = URL.parse(filled)
  const found = useBySource({ ...spec, url: filled })
  // A secret with a slash in the place of the user would end the host, and go out in a look-up of that name.
  if (url === null || found?.host !== host || found.port !== port)
    throw new SluiceError('config', `Source ${spec.name}: with its secrets filled in, \`url\` is not a URL.`)
  return {
    host,
    port,
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    password: fill(spec.password ?? ''),
    tls:
      spec.tls === undefined
        ? null
        : {
            ...(ca === undefined ? {} : { ca: fill(ca) }),
            ...(cert === undefined ? {} : { cert: fill(cert) }),
            ...(key === undefined ? {} : { key: openedKey(spec.name, fill(key)) }),
            rejectUnauthorized: !insecure,
          },
    guarded: guardOf(spec, privateNetworks),
    timeoutMs: spec.timeout ?? null,
  }
}

/** The driver opens a key in the thread for which everybody waits, however long it takes. */
function openedKey(source: string, key: string): string {
  try {
    return openPrivateKey(key).export({ type: 'pkcs8', format: 'pem' }).toString()
  } catch (error) {
    if (!(error instanceof KeyFault)) throw error
    const why = error.message.replace(', and needs `passphrase`', ': write it without a pass phrase')
    const message = `\`tls.key\` cannot be used: ${why}`
    throw new SluiceError('config', `Source \`${source}\`: ${message}.`, {
      details: [{ field: 'tls.key', message }],
    })
  }
}

function guardOf(
  { allowPrivateNetwork }: PostgresSourceSpec | MysqlSourceSpec,
  operator: PrivateNetworks,
): string | null {
  if (operator === 'never') return 'The operator refuses them (SLUICE_SOURCE_PRIVATE_NETWORKS)'
  return (allowPrivateNetwork ?? operator === 'allowed')
    ? null
    : 'For a source, `allowPrivateNetwork: true` permits them'
}

/** `host:port`, as messages name the server. */
export function addressOf({ host, port }: ServerAccess): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
