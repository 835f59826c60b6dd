/**
 * `${secret:NAME}` in the text of a resource. A loaded resource keeps such references, never values.
 * References are allowed in source fields, in a destination's `headers`, `query`, `auth` and `tls`, in the
 * path of its `baseUrl`, and in the `to` of an alert. There a `$${` in the loaded text stands for a literal
 * `${`, so that no text from outside can turn into a reference. All other fields are plain text and do not go
 * through here.
 */
const REFERENCE = /\$\$\{|\$\{secret:([^}]*)\}/g

/** The names of the secrets that a text refers to, each once, in the order of the text. */
export function secretNames(text: string): string[] {
  const names = new Set<string>()
  const [whole] = splitAtLastEnd(text)
  for (const match of whole.matchAll(REFERENCE)) if (match[1] !== undefined) names.add(match[1])
  return [...names]
}

/**
 * The text with its secrets filled in by `secretOf` and its escapes undone. Errors of `secretOf` pass
 * through.
 */
export function fillSecrets(text: string, secretOf: (name: string) => string): string {
  const [whole, rest] = splitAtLastEnd(text)
  const filled = whole.replaceAll(REFERENCE, (_match, name: string | undefined) =>
    name === undefined ? '${' : secretOf(name),
  )
  return filled + rest.replaceAll('$${', () => '${')
}

/**
 * Splits a text behind its last `}`. No reference can end in the second part. In that part, the pattern would
 * search for an end once per beginning, which takes quadratic time.
 */
function splitAtLastEnd(text: string): readonly [string, string] {
  const end = text.lastIndexOf('}') + 1
  return [text.slice(0, end), text.slice(end)]
}

/** The text with `${` escaped, so that `fillSecrets` gives it back as it was. */
export function withoutReferences(text: string): string {
  return text.replaceAll('${', () => '$${')
}

/** The use of a secret: the server that a connection really goes to. */
export interface SecretUse {
  readonly as: 'source' | 'destination' | 'alert'
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
  /** True if the connection is encrypted and the server's certificate is checked. */
  readonly tls: boolean
}

/**
 * Gives the value of a secret for one use. Throws `config` if there is no value, or if the operator has not
 * allowed the secret for that place.
 */
export type SecretFor = (name: string, use: SecretUse) => string
