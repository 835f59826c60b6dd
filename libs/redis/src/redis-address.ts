/**
 * Reads the address of Redis in `SLUICE_REDIS_URL`:
 *
 *     redis://user:password@host:6379/0             one server, database 0
 *     redis+sentinel://user:password@host1,host2:26379/mymaster/0
 *     redis+cluster://user:password@host1:7000,host2:7001
 *
 * With `rediss` for `redis` all connections use TLS, also those to sentinels. User and password are for the
 * servers; sentinels with a login of their own get it as `?sentinelUsername=…&sentinelPassword=…`.
 */
import { SluiceError } from '@sluice/contracts/errors'

export interface RedisNode {
  readonly host: string
  readonly port: number
}

export type RedisAddress = {
  /** The address without users and passwords, for people. */
  readonly shown: string
  readonly tls: boolean
  readonly username: string | null
  readonly password: string | null
  /** 4 or 6 to use only IPv4 or IPv6 addresses of a host name; 0 for both. */
  readonly family: number
} & (
  | { readonly kind: 'single'; readonly node: RedisNode; readonly database: number }
  | {
      readonly kind: 'sentinel'
      readonly sentinels: readonly RedisNode[]
      readonly master: string
      readonly database: number
      readonly sentinelUsername: string | null
      readonly sentinelPassword: string | null
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly RedisNode[] }
)

const FORMS =
  'redis://host:6379/0, redis+sentinel://host1:26379,host2:26379/master-name/0 or redis+cluster://host1:6379,host2:6379 (rediss… for TLS)'
const URL_PARTS = /^redis(s?)(\+sentinel|\+cluster)?:\/\/(?:(.*)@)?([^/?#]*)(\/[^?#]*)?(\?[^#]*)?$/
const HOST_PARTS = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/
const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

/** Reads a URL. Throws `config`, whose message never shows a password. */
export function parseRedisAddress(url: string): RedisAddress {
  const parts = URL_PARTS.exec(url)
  if (parts === null) throw wrong(`expected ${FORMS}`)
  const [, s = '', form = '', login = '', hosts = '', path = '', query = ''] = parts
  const segments = path.split('/').slice(1).map(decoded)
  const options = optionsOf(query, form)
  const nodes = hosts.split(',').map(nodeOf(form === '+sentinel' ? SENTINEL_PORT : REDIS_PORT))
  const shown = `redis${s}${form}://${hosts}${path}`
  const common = { shown, tls: s === 's', ...loginOf(login), family: Number(options.get('family') ?? 0) }
  const [first] = nodes
  if (form === '+sentinel') {
    const [master = '', database = ''] = segments
    if (master === '' || segments.length > 2)
      throw wrong(
        'expected the name of the master behind the sentinels, as in redis+sentinel://host/mymaster',
      )
    return {
      ...common,
      kind: 'sentinel',
      sentinels: nodes,
      master,
      database: databaseOf(database),
      sentinelUsername: options.get('sentinelUsername') ?? null,
      sentinelPassword: options.get('sentinelPassword') ?? null,
    }
  }
  const [database = ''] = segments
  if (segments.length > 1) throw wrong(`expected at most the number of a database behind the host: ${FORMS}`)
  if (form === '+cluster') {
    if (databaseOf(database) !== 0) throw wrong('a cluster has database 0 only')
    return { ...common, kind: 'cluster', nodes }
  }
  if (nodes.length !== 1 || first === undefined)
    throw wrong('expected one host; several are for redis+sentinel:// and redis+cluster://')
  return { ...common, kind: 'single', node: first, database: databaseOf(database) }
}

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  '': ['family'],
  '+cluster': ['family'],
  '+sentinel': ['family', 'sentinelUsername', 'sentinelPassword'],
}

function optionsOf(query: string, form: string): URLSearchParams {
  const options = new URLSearchParams(query)
  const known = OPTIONS[form] ?? []
  for (const name of options.keys())
    if (!known.includes(name)) throw wrong(`there is no option ${name}; known here: ${known.join(', ')}`)
  const family = options.get('family') ?? '0'
  if (!['0', '4', '6'].includes(family)) throw wrong('family has to be 4, 6 or 0 for both')
  return options
}

function loginOf(login: string): { readonly username: string | null; readonly password: string | null } {
  if (login === '') return { username: null, password: null }
  const colon = login.indexOf(':')
  const username = decoded(colon === -1 ? login : login.slice(0, colon))
  const password = colon === -1 ? '' : decoded(login.slice(colon + 1))
  return { username: username === '' ? null : username, password: password === '' ? null : password }
}

/** Reads a host. An error does not show a wrong text, which is the password if an @ was forgotten. */
const nodeOf =
  (defaultPort: number) =>
  (text: string, at: number, all: readonly string[]): RedisNode => {
    const parts = HOST_PARTS.exec(text)
    const port = Number(parts?.[2] ?? defaultPort)
    if (parts?.[1] === undefined || port < 1 || port > 65_535)
      throw wrong(`expected host or host:port${all.length > 1 ? ` as host ${at + 1} of ${all.length}` : ''}`)
    return { host: parts[1].replace(/^\[|\]$/g, ''), port }
  }

function databaseOf(text: string): number {
  if (!/^\d{0,5}$/.test(text)) throw wrong('expected the number of a database behind the last /')
  return Number(text)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('a % in user, password or name has to be written as %25')
  }
}

function wrong(what: string): SluiceError {
  const message = `SLUICE_REDIS_URL is wrong: ${what}`
  return new SluiceError('config', message, { details: [{ field: 'SLUICE_REDIS_URL', message: what }] })
}
