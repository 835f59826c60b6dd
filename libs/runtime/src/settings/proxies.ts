import { SluiceError } from '@sluice/contracts/errors'
import type { Environment } from '../environment.ts'

export interface ProxySettings {
  /** The proxy for requests to https, with user and password if it needs them. */
  readonly url: string
  /** Hosts that are reached directly, comma-separated. */
  readonly except: string
}

/**
 * Reads the proxy from `HTTPS_PROXY` and `NO_PROXY`, in upper or lower case, as other programs do; undefined
 * if there is none. Throws `config` for a text that is no URL. The error does not show the text, which may
 * contain a password.
 */
export function proxySettings(env: Environment): ProxySettings | undefined {
  const url = env['HTTPS_PROXY'] ?? env['https_proxy'] ?? ''
  if (url === '') return undefined
  const parsed = URL.parse(url)
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.hostname === '') {
    const message = '`HTTPS_PROXY` is not the URL of an HTTP proxy, such as http://user:password@proxy:3128'
    throw new SluiceError('config', message, { details: [{ field: 'HTTPS_PROXY', message }] })
  }
  return { url, except: env['NO_PROXY'] ?? env['no_proxy'] ?? '' }
}
