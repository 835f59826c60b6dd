import { delimiter, dirname } from 'node:path'

/** How npm reaches the registry: its own settings, the certificates that it trusts, and proxies. */
const REACHING = [
  ...[
    'cache',
    'registry',
    'userconfig',
    'globalconfig',
    'cafile',
    'strict_ssl',
    'proxy',
    'https_proxy',
    'noproxy',
  ].map(name => `npm_config_${name}`),
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
]

/**
 * The environment of a user who has this Node and no other, and who reaches the registry as this process
 * does. npm takes the first Node on the path. It looks for the settings of the machine beside that Node,
 * where there are none.
 */
export function npmEnvironment(): NodeJS.ProcessEnv {
  const { PATH = '', HOME } = process.env
  const path = [dirname(process.execPath), PATH].join(delimiter)
  return { PATH: path, HOME, ...Object.fromEntries(REACHING.map(name => [name, process.env[name]])) }
}
