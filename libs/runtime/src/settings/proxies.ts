import { SluiceError } from '@sluice/contracts/errors'
import type { Environment } from '../environment.ts'

export interface ProxySettings {
  /** Where requests to https go through, with user and password if it wants any. */
  readonly url: string
  /** Hosts that are reached directly, comma-separated. */
  readonly except: string
}

/**
 * The proxy that `HTTPS_PROXY` and `NO_PROXY` ask for, in upper or lower case as other programs take them;
 * undefined if there is none. Throws `config`, without a password that may stand in it, for what is no URL.
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
