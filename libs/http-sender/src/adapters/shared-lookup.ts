/**
 * Looks up a host name once for all connections that need it at the same time. Node has four threads for
 * lookups, compression, encryption and files. A thousand lookups of a name whose server does not answer would
 * block all of that.
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
