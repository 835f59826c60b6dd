/** The secrets of this process that its own variables hold, so that no log line shows one. */
import { DISTRIBUTED_SECRETS } from './settings/distributed.ts'
import { secretOf, type Environment } from './environment.ts'

/** Certificates are public. The addresses hold passwords, and are shown without them. */
const WHOLE = DISTRIBUTED_SECRETS.filter(name => /_KEY$|_PASSWORD$/.test(name))
/** Several keys may stand between commas. */
const LISTS = ['SLUICE_ENCRYPTION_KEY', 'SLUICE_SIGNING_KEY']
const URLS = ['SLUICE_SCHEMA_REGISTRY_URL', 'SLUICE_REDIS_URL', 'HTTPS_PROXY', 'https_proxy']
const TOKENS = ['SLUICE_TOKEN', 'SLUICE_READ_TOKEN', 'SLUICE_METRICS_TOKEN']
/** `name=value` between commas, values percent-encoded. */
const HEADERS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']
const OTHERS = /^SLUICE_SECRET_\w+$/

/**
 * Values to be masked, as they are written and as they are used, also those in files. The files that
 * `SLUICE_SECRET_<NAME>_FILE` names are read at each use, and masked then.
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
    // The configuration tells what is wrong with the file.
    return ''
  }
}

/**
 * An entry is a name, its roles and its token. Whatever comes third is masked, be the entry right or wrong.
 */
function tokensIn(entries: string): string[] {
  return entries.split(/[\n;]/).flatMap(entry => entry.trim().split(/\s+/).slice(2))
}

function headerValuesIn(list: string): string[] {
  const values = list.split(',').map(pair => pair.slice(pair.indexOf('=') + 1).trim())
  return [...values, ...values.map(decoded)]
}

/** Addresses of several hosts are no URLs that `URL` reads. */
function passwordsIn(url: string): string[] {
  const login = /^[a-z+]+:\/\/(.*)@/i.exec(url)?.[1] ?? ''
  const colon = login.indexOf(':')
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  const written = colon === -1 ? [] : [login.slice(colon + 1)]
  return [...written, ...written.map(decoded), query.get('sentinelPassword') ?? '']
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
