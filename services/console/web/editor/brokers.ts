/** The brokers of a source of topics, and the grants that let its secrets go there. */
import { valueAt } from './draft.ts'
import { grantFor } from './server-url.ts'

/** The brokers of a source as host:port. Empty while there are none. */
export function brokersIn(source: string): readonly string[] {
  const value = valueAt(source, ['brokers'])
  return Array.isArray(value) ? value.map(String).filter(broker => broker !== '') : []
}

/** The grants that let a secret go to all brokers. Empty while there are none. */
export function grantForBrokers(source: string, isChecked: boolean): string {
  const hosts = brokersIn(source).map(broker => broker.replace(/:\d*$/, '').replaceAll(/[[\]]/g, ''))
  return [...new Set(hosts)].map(host => grantFor({ host }, isChecked)).join(', ')
}

export const isTlsChecked = (source: string): boolean =>
  valueAt(source, ['tls']) !== undefined && valueAt(source, ['tls', 'insecure']) !== true
