/** Collects the secrets in this process' own variables, so that no log line shows one. */
import { percentDecoded } from '@sluice/contracts/specs/http-texts'
import { DISTRIBUTED_SECRETS } from './settings/distributed.ts'
import { secretOf, type Environment } from './environment.ts'

/**
 * The variables that are secrets as a whole. Certificates are public, and only the passwords in addresses are
 * secret.
 */
const WHOLE = DISTRIBUTED_SECRETS.filter(name => /_KEY$|_PASSWORD$/.test(name))
/** These variables may have several keys between commas. */
const LISTS = ['SLUICE_ENCRYPTION_KEY', 'SLUICE_SIGNING_KEY']
const URLS = ['SLUICE_SCHEMA_REGISTRY_URL', 'SLUICE_REDIS_URL', 'HTTPS_PROXY', 'https_proxy']
const TOKENS = ['SLUICE_TOKEN', 'SLUICE_READ_TOKEN', 'SLUICE_METRICS_TOKEN', 'SLUICE_OIDC_CLIENT_SECRET']
/** These variables have pairs `name=value` between commas, with percent-encoded values. */
const HEADERS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']
const OTHERS = /^SLUICE_SECRET_\w+$/

/**
 * Returns the values to mask, as they are written and as they are used, also those in files. The files that
 * `SLUICE_SECRET_<NAME>_FILE` names are read, and masked, at each use.
 */
export function ownSecrets(env: Environment): readonly string[] {
  const found: string[] = []
  for (const name of [...WHOLE, ...TOKENS]) found.push(valueOf(env, name))
  for (const name of LISTS)
    found.push(
      ...valueOf(env, name)
        .split(',')
        .map(key => key.trim()),
    )
  found.push(...tokensIn(valueOf(env, 'SLUICE_TOKENS')))
  for (const name of URLS) found.push(...passwordsIn(valueOf(env, name)))
  for (const name of HEADERS) found.push(...headerValuesIn(valueOf(env, name)))
  for (const [name, value = ''] of Object.entries(env))
    if (OTHERS.test(name) && !/_(FOR|FILE)$/.test(name)) found.push(value.replace(/\r?\n$/, ''))
  return [...new Set(found)].filter(value => value !== '')
}

function valueOf(env: Environment, name: string): string {
  try {
    return secretOf(env, name) ?? ''
  } catch {
    // Reading the configuration reports the wrong file.
    return ''
  }
}

/**
 * Returns the third word of each entry, which is its token, also of wrong entries. An entry has a name, roles
 * and a token.
 */
function tokensIn(entries: string): string[] {
  return entries.split(/[\n;]/).flatMap(entry => entry.trim().split(/\s+/).slice(2))
}

function headerValuesIn(list: string): string[] {
  const values = list.split(',').map(pair => pair.slice(pair.indexOf('=') + 1).trim())
  return [...values, ...values.map(percentDecoded)]
}

/** Returns the passwords in an address. `URL` cannot read an address with several hosts. */
function passwordsIn(url: string): string[] {
  const login = /^[a-z+]+:\/\/(.*)@/i.exec(url)?.[1] ?? ''
  const colon = login.indexOf(':')
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  const written = colon === -1 ? [] : [login.slice(colon + 1)]
  return [...written, ...written.map(percentDecoded), query.get('sentinelPassword') ?? '']
}
