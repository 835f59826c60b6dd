/** Reads from the environment which server the command speaks to. */
import { SluiceError } from '@sluice/contracts/errors'
import { secretOf, type Environment } from '@sluice/runtime/environment'

export type ServerAddress =
  | { readonly kind: 'url'; readonly url: string; readonly token: string | null }
  | { readonly kind: 'socket'; readonly path: string }

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/**
 * The server that `SLUICE_URL` names; null if it is not set. Throws `config` if the value is no URL of a
 * server.
 */
export function serverOf({
  env,
  tell,
}: {
  readonly env: Environment
  readonly tell: (notice: string) => void
}): ServerAddress | null {
  const text = env['SLUICE_URL'] ?? ''
  if (text === '') return null
  const url = URL.canParse(text) ? new URL(text) : null
  const isPlain = url !== null && url.search === '' && url.hash === '' && url.username === ''
  if (!isPlain || !/^https?:$/.test(url.protocol))
    throw new SluiceError(
      'config',
      `SLUICE_URL wants the address of a server, such as http://127.0.0.1:4747 or https://sluice.example.com, found ${JSON.stringify(text)}. A token goes into SLUICE_TOKEN.`,
    )
  const token = secretOf(env, 'SLUICE_TOKEN') ?? secretOf(env, 'SLUICE_READ_TOKEN') ?? null
  if (token !== null && url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
    tell(`SLUICE_TOKEN goes to ${url.host} unencrypted: everybody on the way can read it. Use https.`)
  return { kind: 'url', url: url.href.replace(/\/$/, ''), token }
}
