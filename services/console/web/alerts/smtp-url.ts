/** The address of a mail server, as the parts that people know it by. An alert stores them as one URL. */

export interface SmtpParts {
  readonly host: string
  readonly port: string
  /** True: TLS from the start (`smtps`). False: STARTTLS (`smtp`). */
  readonly isTls: boolean
  readonly user: string
  /** The name of the secret with the password. Empty without one. */
  readonly secret: string
}

export const NO_SMTP: SmtpParts = { host: '', port: '', isTls: true, user: '', secret: '' }

const SMTP_URL =
  /^(smtps?):\/\/(?:([^\s:@/]*)(?::\$\{secret:([^}]*)\})?@)?(\[[^\]]*\]|[^\s:@/]*)(?::(\d*))?\/?$/

/** Reads a URL into its parts. Null for a text that these parts cannot express. */
export function smtpParts(url: string): SmtpParts | null {
  if (url === '') return NO_SMTP
  const found = SMTP_URL.exec(url)
  if (found === null) return null
  const [, scheme, user = '', secret = '', host = '', port = ''] = found
  return { host, port, isTls: scheme === 'smtps', user: decoded(user), secret }
}

/** Writes the parts as a URL. Empty if no part is there. */
export function smtpUrl({ host, port, isTls, user, secret }: SmtpParts): string {
  if (`${host}${port}${user}${secret}` === '' && isTls) return ''
  const login =
    user === '' && secret === ''
      ? ''
      : `${encodeURIComponent(user)}${secret === '' ? '' : `:\${secret:${secret}}`}@`
  return `${isTls ? 'smtps' : 'smtp'}://${login}${host}${port === '' ? '' : `:${port}`}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
