/** Masks secrets in texts that are shown, logged or stored (R20). */
import { SecretFinder } from './find-secrets.ts'

export const MASK = '***'

/** Names of headers and query parameters whose value is a secret. */
const SENSITIVE =
  /^(proxy-)?authorization$|cookie|token|secret|passw|api[-_]?key|(^|[-_])(key|auth|sessions?(id)?|credentials?|signature|sig|pwd)$/i
/** This header is not sensitive although its name ends with -key. An API recognises retries by it. */
const HARMLESS = /^(x-)?idempotency-key$/i
/** Only this much of a value is looked for, to bound memory. */
const MAX_LENGTH = 64 * 1024
/**
 * A shortened text loses this many units at its end, since they may be the beginning of a value. It always
 * loses them: if the loss depended on the value, the author of the text could find out whether they have
 * guessed it.
 */
export const CUT_END_UNITS = 1024
/**
 * In a shortened text, only this much of a value is looked for. Its longest spelling fits in the lost end.
 */
const MAX_LENGTH_IN_CUT = 48
/** Shorter values occur in any text. They are masked only if they are the whole text. */
const MIN_LENGTH = 4

/** The most names that are cached. Most requests and answers have the same names. */
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
 * Masks every occurrence of a secret's value, also in other encodings (spellings.ts). The caller has to mask
 * before it shortens a text, since a part of a value cannot be found. `cut` means that the end of the text is
 * missing. Then its last `CUT_END_UNITS` are replaced by `…`. The caller should pass the same list of secrets
 * again, since its compiled form is cached by the list.
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

/** Returns the first `units` of a text, masked. A value that begins in them is masked as a whole. */
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
 * Masks the values of sensitive headers, of sensitive parameters in URLs (`Location`, `Link`), and secrets
 * anywhere else, also in names.
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
 * Masks the password in a URL's user info, the values of sensitive query parameters, and secrets anywhere
 * else.
 */
export function redactUrl(url: string, secrets: readonly string[]): string {
  const shown = url.includes('@')
    ? url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):[^/?#@]*@/i, `$1:${MASK}@`)
    : url
  return redactText(withoutSensitiveParameters(shown), secrets)
}

function withoutSensitiveParameters(text: string): string {
  if (!text.includes('=')) return text
  // A name without a value matches, too. Otherwise it would be read again from each `?` in it.
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
  /** The finder for shortened texts. */
  readonly cutFinder: SecretFinder | null
  readonly short: ReadonlySet<string>
}

const known = new WeakMap<readonly string[], Compiled>()

function compiled(secrets: readonly string[]): Compiled {
  const kept = known.get(secrets)
  // A list may grow at its end, and lose its oldest values.
  if (kept?.count === secrets.length && kept.last === secrets.at(-1)) return kept
  // APIs that echo a value often trim it, and texts that are shown are put on one line.
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
