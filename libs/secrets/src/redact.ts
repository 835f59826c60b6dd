/** Takes secrets out of texts that are shown, logged or stored (R20). */
import { SecretFinder } from './find-secrets.ts'

export const MASK = '***'

/** Headers, and query parameters, whose value is a secret by its name. */
const SENSITIVE =
  /^(proxy-)?authorization$|cookie|token|secret|passw|api[-_]?key|(^|[-_])(key|auth|sessions?(id)?|credentials?|signature|sig|pwd)$/i
/** Not sensitive, though the name ends in -key: an API recognises retries by it. */
const HARMLESS = /^(x-)?idempotency-key$/i
/** So much of a value is looked for, since memory has an end. */
const MAX_LENGTH = 64 * 1024
/**
 * A text that was cut loses so many units at its end, whatever stands there: they may be the beginning of a
 * value. A loss that depended on the value would tell who chooses the text whether they have guessed it.
 */
export const CUT_END_UNITS = 1024
/**
 * Where a text was cut, so much of a value is looked for: its longest spelling is no longer than the end that
 * the text loses.
 */
const MAX_LENGTH_IN_CUT = 48
/** Shorter values occur in any text. They are masked only where they are the whole text. */
const MIN_LENGTH = 4

/** So many names are remembered. Those of most requests and answers are the same. */
const MAX_NAMES = 1000
const MAX_NAME = 64
const knownNames = new Map<string, boolean>()

/** True for the name of a header or query parameter whose value must not be shown. */
export function isSensitiveName(name: string): boolean {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  const isSensitive = SENSITIVE.test(name) && !HARMLESS.test(name)
  if (knownNames.size < MAX_NAMES && name.length <= MAX_NAME) knownNames.set(name, isSensitive)
  return isSensitive
}

/**
 * Masks every occurrence of a secret's value, also where it stands encoded (spellings.ts). Redact first and
 * cut afterwards: the rest of a value that was cut in two cannot be found. `cut` says that only the beginning
 * of a text is at hand. Its last `CUT_END_UNITS` are left out then, with `…` in their place. Say so of no
 * text that is whole. Keep the list of secrets and use it again: its compiled form is kept with it.
 */
export function redactText(
  text: string,
  secrets: readonly string[],
  { cut = false }: { readonly cut?: boolean } = {},
): string {
  if (secrets.length === 0 || text === '') return text
  const { finder, cutFinder, short } = compiled(secrets)
  if (cut) return `${masked(text, cutFinder, Math.max(0, text.length - CUT_END_UNITS)).toWellFormed()}…`
  return short.has(text) ? MASK : masked(text, finder, text.length)
}

/** The first units of a text. A value that begins in them is masked as a whole. */
function masked(text: string, finder: SecretFinder | null, units: number): string {
  let shown = ''
  let done = 0
  for (const { start, end } of finder?.find(text) ?? []) {
    if (start >= units) break
    shown += text.slice(done, start) + MASK
    done = end
  }
  return shown + text.slice(done, Math.max(done, units))
}

/**
 * Masks the values of sensitive headers, those of sensitive parameters in URLs (`Location`, `Link`), and
 * secrets wherever else they stand, be it in a name.
 */
export function redactHeaders(
  headers: { readonly [name: string]: string },
  secrets: readonly string[],
): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      redactText(name, secrets),
      isSensitiveName(name) ? MASK : redactText(withoutSensitiveParameters(value), secrets),
    ]),
  )
}

/**
 * Masks the password in a URL's user info, the values of sensitive query parameters, and secrets wherever
 * else they stand.
 */
export function redactUrl(url: string, secrets: readonly string[]): string {
  const shown = url.includes('@')
    ? url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):[^/?#@]*@/i, `$1:${MASK}@`)
    : url
  return redactText(withoutSensitiveParameters(shown), secrets)
}

function withoutSensitiveParameters(text: string): string {
  if (!text.includes('=')) return text
  // A name without a value is taken, too: else it would be read again from each `?` in it.
  return text.replaceAll(
    /([?&])([^=&#]*)(=[^&#<>"\s]*)?/g,
    (all, lead: string, name: string, value: string | undefined) =>
      value !== undefined && isSensitiveName(name) ? `${lead}${name}=${MASK}` : all,
  )
}

interface Compiled {
  readonly count: number
  readonly last: string | undefined
  readonly finder: SecretFinder | null
  /** For texts that were cut. */
  readonly cutFinder: SecretFinder | null
  readonly short: ReadonlySet<string>
}

const known = new WeakMap<readonly string[], Compiled>()

function compiled(secrets: readonly string[]): Compiled {
  const kept = known.get(secrets)
  // A list may grow, and give up its oldest values for new ones at its end.
  if (kept?.count === secrets.length && kept.last === secrets.at(-1)) return kept
  // APIs that repeat a value often leave out the white space around it, and what is shown stands on one line.
  const values = secrets
    .flatMap(secret => [secret, secret.trim(), secret.trim().replaceAll(/\s+/g, ' ')])
    .filter(secret => secret.length >= MIN_LENGTH)
  const finder = values.length === 0 ? null : new SecretFinder(values, MAX_LENGTH)
  const hasLong = values.some(value => value.length > MAX_LENGTH_IN_CUT)
  const made = {
    count: secrets.length,
    last: secrets.at(-1),
    finder,
    cutFinder: hasLong ? new SecretFinder(values, MAX_LENGTH_IN_CUT) : finder,
    short: new Set(secrets.filter(secret => secret !== '' && secret.length < MIN_LENGTH)),
  }
  known.set(secrets, made)
  return made
}
