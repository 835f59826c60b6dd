/**
 * Looks up host names, once for all connections that want the same name at the same time. Node uses four
 * threads for looking up names, unpacking, encrypting and reading files. A thousand connections to a name
 * whose server does not answer would hold up all other work of the process.
 */
import { lookup, type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

type Callback = Parameters<LookupFunction>[2]

export function sharedLookup(look: LookupFunction = lookupAll): LookupFunction {
  const waiting = new Map<string, Callback[]>()
  return (hostname, options, callback) => {
    const wanted = JSON.stringify([hostname, options.all, options.family, options.hints, options.order])
    const others = waiting.get(wanted)
    if (others !== undefined) {
      others.push(callback)
      return
    }
    const callbacks = [callback]
    waiting.set(wanted, callbacks)
    look(hostname, options, (...found) => {
      waiting.delete(wanted)
      for (const each of callbacks) each(...found)
    })
  }
}

const lookupAll: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, options, (error, address: string | LookupAddress[], family?: number) =>
    callback(error, address, family),
  )
}
