/** Takes secrets out of what is shown and stored (R20). */

export const MASK = '***'

/** Headers whose value is a secret by its name. */
const SENSITIVE = /^(proxy-)?authorization$|cookie|token|secret|password|api-?key|-key$/i
/** Not sensitive, though the name ends in -key: it is what retries are recognised by. */
const HARMLESS = /^idempotency-key$/i

/** Masks every occurrence of a secret's value. Values shorter than four characters are masked only as the whole text. */
export function redactText(text: string, secrets: readonly string[]): string {
  let shown = text
  for (const secret of secrets) {
    if (secret === '') continue
    if (secret.length < 4) shown = shown === secret ? MASK : shown
    else shown = shown.replaceAll(secret, MASK)
  }
  return shown
}

/** Masks the values of sensitive headers, and secrets wherever else they stand. */
export function redactHeaders(
  headers: { readonly [name: string]: string },
  secrets: readonly string[],
): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      SENSITIVE.test(name) && !HARMLESS.test(name) ? MASK : redactText(value, secrets),
    ]),
  )
}
