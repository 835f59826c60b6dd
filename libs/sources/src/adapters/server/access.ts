/** The address and login of a database server: a source's fields with its secrets filled in. */
import { SluiceError } from '@sluice/contracts/errors'
import { KeyFault, openPrivateKey } from '@sluice/http-sender/private-keys'
import { useBySource } from '@sluice/domain/secret-uses'
import type { ServerSourceSpec } from '@sluice/contracts/source-types'
import { withBrackets } from '@sluice/contracts/specs/http-texts'
import { fillSecrets, type SecretFor } from '@sluice/contracts/secret-references'

export interface ServerAccess {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  /** Empty if there is none. */
  readonly password: string
  /** Null for a connection that is not encrypted. */
  readonly tls: {
    readonly ca?: string
    readonly cert?: string
    readonly key?: string
    readonly rejectUnauthorized: boolean
  } | null
  /** Null if private networks may be reached; else a phrase that says how to permit it. */
  readonly guarded: string | null
  /** The time-out of a query; null for none. */
  readonly timeoutMs: number | null
}

/**
 * The operator's rule for sources in private networks. `allowed` and `refused` are defaults, which a source
 * may override. `never` refuses them for every source.
 */
export type PrivateNetworks = 'allowed' | 'refused' | 'never'

/** Opening a connection, with its login, may take this long. */
export const CONNECT_TIMEOUT_MS = 10_000

/**
 * Fills in the secrets, for one connection. Throws `config` if the result is not a URL or leads to another
 * server than `url` says, and the errors of `secretFor`.
 */
export function serverAccess(
  spec: ServerSourceSpec,
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
  // A user name with a slash would end the host, so that the secret would go out in a DNS query.
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

/**
 * Opens a private key with a limit of work. The driver would open it in this thread, however long it takes.
 */
export function openedKey(source: string, key: string): string {
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

/** Returns a phrase that says how to permit private networks; null if a source may reach them. */
export function guardOf(
  { allowPrivateNetwork }: { readonly allowPrivateNetwork?: boolean | undefined },
  operator: PrivateNetworks,
): string | null {
  if (operator === 'never') return 'The operator refuses them (SLUICE_SOURCE_PRIVATE_NETWORKS)'
  return (allowPrivateNetwork ?? operator === 'allowed')
    ? null
    : 'For a source, `allowPrivateNetwork: true` permits them'
}

/** Returns `host:port`, the server's name in messages. */
export function addressOf({ host, port }: ServerAccess): string {
  return `${withBrackets(host)}:${port}`
}
