/** Says in words why a source cannot be reached, beside the words of its server or driver. */
import { messageOf } from '@sluice/contracts/errors'
import { ApiError } from '../../api/client.ts'
import { brokersIn } from '../brokers.ts'
import { textAt } from '../draft.ts'
import { SERVER_PORTS } from '@sluice/contracts/source-types'
import { isServerType, serverParts } from '../server-url.ts'

export interface ConnectionFault {
  /** What failed, and what the user can do. */
  readonly words: string
  /** What the server or the driver said. Null if the words say the same. */
  readonly said: string | null
}

/** `text` is the source that was tried. */
export function connectionFault(error: unknown, text: string): ConnectionFault {
  const said = messageOf(error)
  const type = textAt(text, ['type'])
  if (type === 'kafka' && brokersIn(text).length === 0) return { words: 'Type a broker first.', said: null }
  const parts = serverParts(textAt(text, ['url']))
  if (!isServerType(type) || parts === null) return { words: said, said: null }
  const { host, user, database } = parts
  const lacking = [
    ...(host === '' ? ['the host'] : []),
    ...(database === '' ? ['the database'] : []),
    ...(user === '' ? ['the user'] : []),
  ]
  if (lacking.length > 0)
    return { words: `Type ${lacking.join(', ').replace(/, ([^,]*)$/, ' and $1')} first.`, said: null }
  const port = parts.port || String(SERVER_PORTS[type])
  const words = FAULTS.find(([pattern]) => pattern.test(said))?.[1]({ host, port, user, database })
  // The server's message about a missing secret advises its operator. The page has a field for the secret.
  if (words !== undefined) return { words, said: /^The secret /.test(said) ? null : said }
  const [detail] = error instanceof ApiError ? error.details : []
  return { words: detail?.message ?? said, said: null }
}

interface Tried {
  readonly host: string
  readonly port: string
  readonly user: string
  readonly database: string
}

const FAULTS: readonly (readonly [pattern: RegExp, words: (tried: Tried) => string])[] = [
  [/ENOTFOUND|EAI_AGAIN/, ({ host }) => `No server has the name ${host}. Check the host.`],
  [
    /ECONNREFUSED/,
    ({ host, port }) =>
      `Nothing listens at port ${port} of ${host}. Check the host and the port, and that the server runs.`,
  ],
  [
    /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|timed? ?out|took longer/i,
    ({ host, port }) =>
      `${host} does not answer at port ${port}. A firewall may be in the way, or the host is another one.`,
  ],
  [
    /private|loopback|link-local/i,
    ({ host }) => `${host} leads to a private network, where this source may not connect.`,
  ],
  [
    /does not take encrypted|does not support SSL|not support secure/i,
    () => 'The server takes no encrypted connection. Choose “Not encrypted”, or set up TLS on the server.',
  ],
  [
    /no encryption|require_secure_transport|insecure transport/i,
    () => 'The server wants an encrypted connection. Choose TLS below.',
  ],
  [/expired/i, () => 'The certificate of the server has expired.'],
  [
    /self.signed|unable to (verify|get)|issuer/i,
    () => 'No known authority has signed the certificate of the server. Choose an authority of your own.',
  ],
  [/altnames|does not match certificate/i, ({ host }) => `The certificate of the server is not for ${host}.`],
  [
    /password is not set|asks for a password|no password supplied|using password: NO/i,
    ({ user }) => `The server asks for the password of ${user}.`,
  ],
  [
    /database .* does not exist|Unknown database/i,
    ({ database }) => `The server has no database ${database}.`,
  ],
  [
    /password authentication failed|role .* does not exist|Access denied/i,
    ({ user, database }) =>
      `The server refuses the user ${user}, or this password, for the database ${database}.`,
  ],
  [/no pg_hba/i, ({ user, host }) => `The server at ${host} lets ${user} in from no address like this one.`],
  [
    /secret .*(not set|does not exist|no value)|has no secret/i,
    () => 'The vault does not have the secret of the password. Type the password again.',
  ],
  [
    /may not (be sent|go)|not granted/i,
    ({ host }) => `The secret of the password may not go to ${host}. Type the password again, and it may.`,
  ],
]
