/**
 * The address of a database server, as the parts that people know it by. A source stores them as its `url`.
 */

import { SERVER_PORTS } from '@sluice/contracts/source-types'

export type ServerType = keyof typeof SERVER_PORTS

export const isServerType = (type: string): type is ServerType => Object.hasOwn(SERVER_PORTS, type)

/** The parts as people type them. A part that is missing is empty. */
export interface ServerParts {
  /** An IPv6 address has no brackets here. */
  readonly host: string
  readonly port: string
  readonly database: string
  readonly user: string
}

const NOTHING: ServerParts = { host: '', port: '', database: '', user: '' }

const SERVER_URL =
  /^(?:postgres(?:ql)?|mysql|mariadb):\/\/(?:([^@/:]*|\$\{secret:[^}]*\})@)?(\[[^\]]*\]|[^:/@?#[\]]*)(?::(\d*))?(?:\/([^/?#]*))?$/

/**
 * Reads a URL, which may lack parts. Null if it has something that these parts cannot hold, such as a
 * password.
 */
export function serverParts(url: string): ServerParts | null {
  if (url === '') return NOTHING
  const found = SERVER_URL.exec(url)
  if (found === null) return null
  const [, user = '', host = '', port = '', database = ''] = found
  return {
    ...{ host: host.replaceAll(/[[\]]/g, ''), port },
    ...{ user: decoded(user), database: decoded(database) },
  }
}

/** Writes the parts as a URL. Empty if there is none. */
export function serverUrl(type: ServerType, { host, port, database, user }: ServerParts): string {
  if (`${host}${port}${database}${user}` === '') return ''
  const place = host.includes(':') ? `[${host}]` : host
  const login = user === '' ? '' : `${encoded(user)}@`
  return `${type}://${login}${place}${port === '' ? '' : `:${port}`}/${encoded(database)}`
}

/**
 * The parts with what somebody typed or pasted as the host: a name, `name:port`, or a whole URL, whose
 * password stays out.
 */
export function withHost(parts: ServerParts, typed: string): ServerParts {
  const whole = serverParts(
    typed
      .trim()
      .replace(/^(\w+:\/\/[^@/:]*):[^@/]*@/, '$1@')
      .replace(/\?.*$/, ''),
  )
  if (typed.includes('://') && whole !== null) return { ...parts, ...filledIn(whole) }
  const text = typed.replaceAll(/[\s/@?#[\]]/g, '')
  const [, host, port] = /^([^:]+):(\d+)$/.exec(text) ?? []
  return host === undefined ? { ...parts, host: text } : { ...parts, host, port: port ?? '' }
}

function filledIn(parts: ServerParts): Partial<ServerParts> {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== ''))
}

/** The grant that lets the password of a source go to its server, at any port: a port is often mistyped. */
export function grantFor({ host }: Pick<ServerParts, 'host'>, isChecked: boolean): string {
  const isOwn = /^(localhost|127\.[\d.]+|::1)$/.test(host)
  return `${host.includes(':') ? `[${host}]` : host} source${isChecked || isOwn ? '' : ' plain'}`
}

const isSecret = (text: string): boolean => /^\$\{secret:[^}]*\}$/.test(text)
const encoded = (text: string): string => (isSecret(text) ? text : encodeURIComponent(text))

function decoded(text: string): string {
  try {
    return isSecret(text) ? text : decodeURIComponent(text)
  } catch {
    return text
  }
}
