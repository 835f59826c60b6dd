/** The brokers of a source of topics, and the grants that let its secrets go there. */
import { grantOf, hostOfBroker, joinedHosts } from '../secrets/granted-hosts.ts'
import { valueAt } from './draft.ts'

/** The brokers of a source as host:port. Empty while there are none. */
export function brokersIn(source: string): readonly string[] {
  const value = valueAt(source, ['brokers'])
  return Array.isArray(value) ? value.map(String).filter(broker => broker !== '') : []
}

/** The grants that let a secret go to all brokers. Empty while there are none. */
export function grantForBrokers(source: string, isChecked: boolean): string {
  return joinedHosts(brokersIn(source).map(broker => grantOf(hostOfBroker(broker), isChecked)))
}

/** True for a source whose connections are encrypted, to servers whose certificates are checked. */
export const isTlsChecked = (source: string): boolean =>
  valueAt(source, ['tls']) !== undefined && valueAt(source, ['tls', 'insecure']) !== true
