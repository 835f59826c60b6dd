import { expect, it } from 'vitest'
import { endOf, type Ends } from '@sluice/flow/ends'
import { SharedServices } from './shared-services.ts'

/** Services that note what happens to them, and drain when the test lets them. */
class FakeServices {
  readonly events: string[] = []
  /** The syncs of the latest start, as the services see them at any time. */
  syncs: ReadonlySet<string> | null = null
  drained: Promise<void> = Promise.resolve()
  readonly failed = Promise.withResolvers<never>()

  readonly start = async (only: ReadonlySet<string> | null, { drain }: Ends): Promise<void> => {
    this.syncs = only
    this.events.push('start')
    await Promise.race([endOf(drain), this.failed.promise])
    this.events.push('drain')
    await this.drained
    this.events.push('end')
  }
}

const { signal: abort } = new AbortController()

/** Somebody who needs the services for a sync. */
function user(services: SharedServices, sync: string) {
  const drain = new AbortController()
  return { done: services.start(new Set([sync]), { drain: drain.signal, abort }), leave: () => drain.abort() }
}

/** Waits until all has happened that is ready to happen. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

it('starts the services once, and drains them when the last one leaves', async () => {
  const fake = new FakeServices()
  const services = new SharedServices(fake.start)
  const [a, b] = [user(services, 'a'), user(services, 'b')]
  await settled()
  expect([fake.events, [...(fake.syncs ?? [])]]).toEqual([['start'], ['a', 'b']])
  a.leave()
  await a.done
  expect(fake.events).toEqual(['start'])
  b.leave()
  await b.done
  expect(fake.events).toEqual(['start', 'drain', 'end'])
})

it('lets services that are at work know of another sync before it is asked for', async () => {
  const fake = new FakeServices()
  const services = new SharedServices(fake.start)
  const a = user(services, 'a')
  await settled()
  const b = user(services, 'b')
  // In the same turn: the caller writes the command next.
  expect(fake.syncs?.has('b')).toBe(true)
  a.leave()
  b.leave()
  await Promise.all([a.done, b.done])
})

it('starts them anew for one who comes while they drain, after they have ended', async () => {
  const fake = new FakeServices()
  const services = new SharedServices(fake.start)
  const draining = Promise.withResolvers<void>()
  fake.drained = draining.promise
  const a = user(services, 'a')
  await settled()
  a.leave()
  await settled()
  const b = user(services, 'b')
  await settled()
  expect(fake.events).toEqual(['start', 'drain'])
  draining.resolve()
  await a.done
  await settled()
  expect([fake.events, [...(fake.syncs ?? [])]]).toEqual([['start', 'drain', 'end', 'start'], ['b']])
  b.leave()
  await b.done
})

it('tells everybody who needs them that they have failed', async () => {
  const fake = new FakeServices()
  const services = new SharedServices(fake.start)
  const users = [user(services, 'a'), user(services, 'b')]
  await settled()
  fake.failed.reject(new Error('the disk is full'))
  for (const { done } of users) await expect(done).rejects.toThrow('the disk is full')
})
