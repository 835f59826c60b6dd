/** Finds the network that a request comes from. */
import { isIPv6 } from 'node:net'

const GROUPS = 8
/** The owner of one IPv6 address usually has the whole network of these groups (64 bits). */
const GROUPS_OF_NETWORK = 4

/** Returns an IPv4 address as it is, and an IPv6 address as its network. */
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
