/**
 * A topic that is streamed, and whose log breaks off: its Kafka is killed and comes back, and the topic is
 * made anew or gets more partitions. Each time the API has the rows again, none is sent twice, and the runs
 * say what happened.
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { WrittenProject } from '../e2e/written-project.ts'

describe.skipIf(inject('kafkaBrokers') === null)('a topic whose log breaks off', { timeout: 300_000 }, () => {
  let written: WrittenProject
  beforeAll(async () => {
    written = await WrittenProject.open('removalGuard: false')
    written.stream.up()
    await written.stream.equal(written, 'the topic')
  }, 180_000)
  afterAll(async () => {
    await written[Symbol.asyncDispose]()
  })

  const withoutRepeats = async (what: string): Promise<void> => {
    await written.changeRows()
    await written.stream.equal(written, what)
    expect(written.stream.received.repeats, what).toBe(0)
  }

  it('goes on where it was when Kafka is killed and comes back', async () => {
    await written.changeRows()
    await written.kafka.kill()
    await written.kafka.start()
    await withoutRepeats('a kill')
  })

  it('compares, and says why, once the topic has more partitions', async () => {
    await written.topic.addPartitions(4)
    await withoutRepeats('more partitions')
    expect(await written.stream.noticed()).toContainEqual(
      expect.stringMatching(/^the log broke off: .*partitions/),
    )
  })

  it('compares, and says why, once the topic is made anew', async () => {
    await written.makeAnew()
    await withoutRepeats('a topic made anew')
    expect(await written.stream.noticed()).toContainEqual(
      expect.stringMatching(/^the log broke off: .*(made anew|another)/),
    )
  })
})
