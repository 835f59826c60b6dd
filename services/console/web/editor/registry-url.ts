/**
 * The address of a schema registry, with its login as fields of their own. A source stores all as one URL.
 */

export interface RegistryParts {
  /** The URL without the login. */
  readonly url: string
  readonly user: string
  /** The name of the secret with the password. Empty without one. */
  readonly secret: string
}

const REGISTRY_URL = /^(https?:\/\/)(?:([^\s:@/]*)(?::\$\{secret:([^}]*)\})?@)?([^\s@]*)$/

/** Reads a URL into its parts. Null for a text that these parts cannot express. */
export function registryParts(text: string): RegistryParts | null {
  if (!text.includes('@') && !text.includes('${')) return { url: text, user: '', secret: '' }
  const found = REGISTRY_URL.exec(text)
  if (found === null) return null
  const [, scheme = '', user = '', secret = '', rest = ''] = found
  return { url: `${scheme}${rest}`, user: decoded(user), secret }
}

/** Writes the parts as a URL. The login counts once there is an address for it. */
export function registryUrl({ url, user, secret }: RegistryParts): string {
  const [, scheme, rest] = /^(https?:\/\/)(.*)$/s.exec(url) ?? []
  if (scheme === undefined || rest === undefined || (user === '' && secret === '')) return url
  return `${scheme}${encodeURIComponent(user)}${secret === '' ? '' : `:\${secret:${secret}}`}@${rest}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
