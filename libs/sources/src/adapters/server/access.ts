/** How to reach a database server: the fields of a source with its secrets filled in. */
import { SluiceError } from '@sluice/contracts/errors'
import type { MysqlSourceSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import { fillSecrets } from '@sluice/contracts/secret-references'

/** Gives a secret's value; throws where there is none. */
export type SecretOf = (name: string) => string

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
  /** Most time for a query. */
  readonly timeoutMs: number | null
}

/** Time to open a connection, login included. */
export const CONNECT_TIMEOUT_MS = 10_000

/**
 * Fills in the secrets, for one use. Throws `config` if the result is not a URL, and the errors of
 * `secretOf`.
 */
export function serverAccess(
  spec: PostgresSourceSpec | MysqlSourceSpec,
  options: { readonly secretOf: SecretOf; readonly defaultPort: number },
): ServerAccess {
  const fill = (text: string): string => fillSecrets(text, options.secretOf)
  const url = URL.parse(fill(spec.url))
  if (url === null)
    throw new SluiceError('config', `Source ${spec.name}: with its secrets filled in, \`url\` is not a URL.`)
  const { ca, cert, key, insecure = false } = spec.tls ?? {}
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? options.defaultPort : Number(url.port),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    password: fill(spec.password ?? ''),
    tls:
      spec.tls === undefined
        ? null
        : {
            ...(ca === undefined ? {} : { ca: fill(ca) }),
            ...(cert === undefined ? {} : { cert: fill(cert) }),
            ...(key === undefined ? {} : { key: fill(key) }),
            rejectUnauthorized: !insecure,
          },
    timeoutMs: spec.timeout ?? null,
  }
}

/** `host:port`, as messages name the server. */
export function addressOf({ host, port }: ServerAccess): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
