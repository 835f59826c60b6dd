/** A broker lists the members of groups. */
import { describe, expect, inject, test } from 'vitest'
import { createKafkaLog, readGroupMembers } from '../kafka.ts'

const given = inject('kafkaBrokers')
const brokers = [given ?? '']

describe.skipIf(given === null)('kafka: members of groups', () => {
  test('are those that own partitions now, with their process and host', async ({ signal }) => {
    const name = `members-${Date.now()}`
    const look = () => readGroupMembers({ brokers, clientId: 'looking' }, `${name}.`, { signal })
    await using log = createKafkaLog({ brokers, clientId: `${name}-client` })
    await log.ensureTopics([{ topic: name, partitions: 3, cleanup: 'delete' }], { signal })
    expect(await look()).toEqual([])
    const membership = await log.join(`${name}.one`, [name], { signal })
    const { value } = await membership[Symbol.asyncIterator]().next()
    expect(value).toMatchObject({ partitions: [{}, {}, {}] })
    await expect.poll(look).toHaveLength(1)
    const [member] = await look()
    expect(member).toMatchObject({ group: `${name}.one`, client: `${name}-client` })
    expect(member?.host).toMatch(/^[\d.:a-f]+$/)
    expect(member?.partitions.map(({ topic, partition }) => `${topic} ${partition}`).sort()).toEqual(
      [0, 1, 2].map(partition => `${name} ${partition}`),
    )
    await membership.leave()
    await expect.poll(look).toEqual([])
    await log.deleteTopics([name], { signal })
  })
})
