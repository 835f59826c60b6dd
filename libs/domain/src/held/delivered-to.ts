/**
 * The destination of a sync's delivered state. Rows that one API has taken are not at another API, so a run
 * to another API is held (PROTOCOL.md §6).
 */
import type { ChangedDestination, DeliveredTo } from '@sluice/contracts/records'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { fillSecrets, secretNames } from '@sluice/contracts/secret-references'

/**
 * A header or parameter names an account if one of these is its last word, apart from words such as `id`.
 * `host` is one of these, since a proxy chooses the API by it.
 */
const ACCOUNT = new Set(
  (
    'account app application company customer database env environment host instance org organisation organization ' +
    'project realm shop site store subscription team tenant workspace'
  ).split(' '),
)
const SAYS_NOTHING = new Set(['code', 'domain', 'id', 'name', 'number', 'slug', 'uuid'])
/** Longer values are shortened, since the record has to stay small. */
const MAX_VALUE = 200

/**
 * Returns origin and base path, and the literal headers and query parameters that name an account. Secrets
 * are left out, so that a new secret makes no new destination.
 */
export function deliveredTo({ baseUrl, headers, query }: DestinationSpec): DeliveredTo {
  const named = [...Object.entries(headers ?? {}), ...Object.entries(query ?? {})]
  const accounts = named
    .filter(([name]) => namesAccount(name))
    .map(([name, value]) => {
      const known = secretNames(value).length > 0 ? null : value.slice(0, MAX_VALUE)
      return [name.toLowerCase(), known] as const
    })
  return { url: urlOf(baseUrl), accounts: Object.fromEntries(accounts) }
}

/**
 * True if rows that one destination has taken may not be at the other. An account in a secret is unknown, and
 * makes no difference.
 */
export function isAnother(one: DeliveredTo, other: DeliveredTo): boolean {
  return one.url !== other.url || otherAccounts(one, other).length > 0
}

/**
 * Returns the change for which a run to this destination is held; null if it may go on. A state without rows
 * belongs to no destination, so a first run to a wrong address holds nothing.
 */
export function changedDestination(
  from: DeliveredTo | null,
  to: DeliveredTo,
  rows: number,
): ChangedDestination | null {
  return from === null || rows === 0 || !isAnother(from, to) ? null : { from, to }
}

/** Says what differs, for people. */
export function changeOf({ from, to }: ChangedDestination): string {
  const valueOf = (name: string, { accounts }: DeliveredTo): string => accounts[name] ?? 'none'
  const accounts = otherAccounts(from, to).map(
    name => `${name} from ${valueOf(name, from)} to ${valueOf(name, to)}`,
  )
  return [...(from.url === to.url ? [] : [`from ${from.url} to ${to.url}`]), ...accounts].join(', ')
}

function otherAccounts(one: DeliveredTo, other: DeliveredTo): string[] {
  const names = new Set([...Object.keys(one.accounts), ...Object.keys(other.accounts)])
  return [...names].filter(name => {
    const [a, b] = [one.accounts[name], other.accounts[name]]
    return a !== b && a !== null && b !== null
  })
}

function namesAccount(name: string): boolean {
  const words = name
    .replaceAll(/([a-z])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
  const last = words.findLastIndex(word => word !== '' && !SAYS_NOTHING.has(word))
  return ACCOUNT.has(words[last] ?? '')
}

/** Returns a URL without differences of spelling: case of the host, default port, a slash at the end. */
function urlOf(baseUrl: string): string {
  const url = new URL(fillSecrets(baseUrl, () => '***'))
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}
