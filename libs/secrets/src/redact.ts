/** Takes secrets out of what is shown, logged and stored (R20). */

export const MASK = '***'

/** Headers, and query parameters, whose value is a secret by its name. */
const SENSITIVE =
  /^(proxy-)?authorization$|cookie|token|secret|passw|api[-_]?key|(^|[-_])(key|auth|sessions?(id)?|credentials?|signature|sig|pwd)$/i
/** Not sensitive, though the name ends in -key: it is what retries are recognised by. */
const HARMLESS = /^(x-)?idempotency-key$/i
/** Shorter values occur in any text; they are masked only where they are all of it. */
const MIN_LENGTH = 4

/** True for the name of a header or query parameter that is not to be shown with its value. */
export function isSensitiveName(name: string): boolean {
  return SENSITIVE.test(name) && !HARMLESS.test(name)
}

/**
 * Masks every occurrence of a secret's value, also where it stands percent-encoded, form-encoded, inside a
 * JSON text or in Base64. The list of secrets may be kept and used again: what it is compiled to is kept with
 * it.
 */
export function redactText(text: string, secrets: readonly string[]): string {
  if (secrets.length === 0 || text === '') return text
  const { pattern, short } = compiled(secrets)
  if (short.has(text)) return MASK
  return pattern === null ? text : text.replace(pattern, MASK)
}

/** Masks the values of sensitive headers, and secrets wherever else they stand. */
export function redactHeaders(
  headers: { readonly [name: string]: string },
  secrets: readonly string[],
): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      isSensitiveName(name) ? MASK : redactText(value, secrets),
    ]),
  )
}

/**
 * Masks the password in a URL's user info, the values of sensitive query parameters, and secrets wherever
 * else they stand.
 */
export function redactUrl(url: string, secrets: readonly string[]): string {
  const shown = url
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):[^/?#@]*@/i, `$1:${MASK}@`)
    .replaceAll(/([?&])([^=&#]*)=([^&#]*)/g, (all, lead: string, name: string) =>
      isSensitiveName(name) ? `${lead}${name}=${MASK}` : all,
    )
  return redactText(shown, secrets)
}

interface Compiled {
  readonly count: number
  readonly pattern: RegExp | null
  readonly short: ReadonlySet<string>
}

const known = new WeakMap<readonly string[], Compiled>()

function compiled(secrets: readonly string[]): Compiled {
  const kept = known.get(secrets)
  if (kept?.count === secrets.length) return kept
  const forms = new Set(secrets.filter(secret => secret.length >= MIN_LENGTH).flatMap(formsOf))
  // A secret that contains another one is masked whole.
  const alternatives = [...forms].sort((a, b) => b.length - a.length).map(literal)
  const made = {
    count: secrets.length,
    pattern: alternatives.length === 0 ? null : new RegExp(alternatives.join('|'), 'g'),
    short: new Set(secrets.filter(secret => secret !== '' && secret.length < MIN_LENGTH)),
  }
  known.set(secrets, made)
  return made
}

/** The texts by which a value may travel. */
function formsOf(secret: string): string[] {
  const wellFormed = secret.toWellFormed()
  const percent = encodeURIComponent(wellFormed)
  const json = JSON.stringify(secret).slice(1, -1)
  const base64 = Buffer.from(secret).toString('base64')
  return [
    secret,
    percent,
    percent.replaceAll(/%[0-9A-F]{2}/g, escape => escape.toLowerCase()),
    percent.replaceAll('%20', '+'),
    json,
    base64,
    // A text around it shifts Base64; the part that does not depend on its end is enough to find it.
    ...(base64.length >= 12 ? [base64.replace(/.=+$/, '')] : []),
  ]
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
