/** The networks that requests come from. */
import { isIPv6 } from 'node:net'

const GROUPS = 8
/** Whoever has one IPv6 address has as many as these groups leave open. */
const GROUPS_OF_NETWORK = 4

/** The address of IPv4, or the network of IPv6 (64 bits) that somebody has who has the address. */
export function networkOf(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase()
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/.exec(plain)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const groupsOf = (text: string): string[] => text.split(':').filter(group => group !== '')
  const [first, last] = [groupsOf(head), groupsOf(tail ?? '')]
  const between = Array.from({ length: Math.max(GROUPS - first.length - last.length, 0) }, () => '0')
  const groups = tail === undefined ? first : [...first, ...between, ...last]
  return groups
    .slice(0, GROUPS_OF_NETWORK)
    .map(group => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
