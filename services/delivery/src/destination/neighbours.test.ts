import { afterEach, beforeEach, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { createLogger } from '@sluice/runtime/logger'
import { SILENT_LOGGER } from '@sluice/runtime/silent-logger'
import { plainRecord } from '@sluice/resources/stored-resources'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'
import { Neighbours } from './neighbours.ts'

const never = { signal: new AbortController().signal }

let world: TestLog
beforeEach(async () => {
  world = await openTestLog({ partitions: 0 })
})
afterEach(() => world[Symbol.asyncDispose]())

async function write(name: string, spec: string | null): Promise<void> {
  const value = spec === null ? null : world.io.encode('ResourceRecord', plainRecord('sync', name, spec))
  await world.append(at(sharedTopics(world.prefix).resources, 0), [{ key: textKey(`sync/${name}`), value }])
}

it('a sync has neighbours as long as the resources have another sync of its destination', async () => {
  const neighbours = new Neighbours({ ...world, logger: SILENT_LOGGER })
  const has = () => neighbours.has({ sync: 'one', destination: 'api' }, never)
  const spec = (name: string, destination: string): string =>
    JSON.stringify({ ...sampleDefinition().sync, name, destination })
  expect(await has()).toBe(false)
  await write('one', spec('one', 'api'))
  await write('elsewhere', spec('elsewhere', 'other'))
  await write('unreadable', '{')
  expect(await has()).toBe(false)
  await write('two', spec('two', 'api'))
  expect(await has()).toBe(true)
  await write('two', null)
  expect(await has()).toBe(false)
})

it('a sync goes on as if it had none where the resources cannot be read', async () => {
  const refused = new SluiceError('config', 'no right to read resources')
  const lines: string[] = []
  const logger = createLogger({ name: 'test', write: line => lines.push(line) })
  const log = { ...world.log, offsets: () => Promise.reject(refused) }
  const neighbours = new Neighbours({ ...world, log, logger })
  const has = () => neighbours.has({ sync: 'one', destination: 'api' }, never)
  expect([await has(), await has()]).toEqual([false, false])
  // The log says so once, and in words of its own.
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/"level":40,.*no right to read resources.*which syncs share a destination/)
})
