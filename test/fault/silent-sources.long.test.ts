/**
 * The source of a stream does not answer for some time: its database is down, or its Kafka stands still. The
 * runs say so. Once the source answers, the stream goes on where it was, and sends nothing twice.
 */
import { describe, expect, inject, it } from 'vitest'
import { FollowedProject } from '../e2e/followed-project.ts'
import type { StreamedProject } from '../e2e/streamed-project.ts'
import { WrittenProject } from '../e2e/written-project.ts'

/**
 * A Kafka that stands still is told after two minutes. Only what hangs takes longer, also on a busy machine.
 */
const PATIENCE = { timeout: 400_000, interval: 200 }

/** Resolves with the error of the first run that fails. */
async function errorOf(stream: StreamedProject): Promise<string> {
  let error: string | null = null
  const look = async (): Promise<string | null> => {
    error = (await stream.runs()).find(run => run.error !== null)?.error ?? null
    return error
  }
  await expect.poll(look, PATIENCE).not.toBeNull()
  return error ?? ''
}

describe.skipIf(inject('kafkaBrokers') === null || inject('postgresUrl') === null)(
  'a stream whose source does not answer',
  { timeout: 900_000 },
  () => {
    it.concurrent('says so of a database that is down, and goes on where it was', async () => {
      await using followed = await FollowedProject.open()
      const { stream, table, postgres } = followed
      stream.up()
      await stream.equal(table, 'the snapshot')
      await postgres.stop()
      expect(await errorOf(stream)).toMatch(/cannot connect to PostgreSQL/)
      await postgres.start()
      await table.run(`UPDATE $table SET name = 'later' WHERE id = 1`)
      await stream.equal(table, 'the change behind an outage')
      expect(stream.received.repeats).toBe(0)
    })

    it.concurrent('says so of a Kafka that stands still, and goes on where it was', async () => {
      await using written = await WrittenProject.open()
      const { stream, kafka } = written
      stream.up()
      await stream.equal(written, 'the topic')
      kafka.freeze()
      try {
        expect(await errorOf(stream)).toMatch(/Kafka/)
      } finally {
        kafka.thaw()
      }
      await written.changeRows()
      await stream.equal(written, 'the changes behind a standstill')
      expect(stream.received.repeats).toBe(0)
    })
  },
)
