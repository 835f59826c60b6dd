/**
 * A followed table whose database breaks off: connections are cut, it is restarted, its slot is dropped or
 * invalidated, and Sluice is killed. Each time the API has the rows of the table again, none is sent twice
 * but for a kill, and the runs say what happened.
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { FollowedProject } from '../e2e/followed-project.ts'
import { STREAM, type StreamedProject } from '../e2e/streamed-project.ts'

/** Only what hangs takes so long, also on a busy machine. */
const PATIENCE = { timeout: 120_000, interval: 100 }
/** Requests that a kill may repeat: in flight, and answered without an acknowledgement (R7). */
const REPEATED_BY_A_KILL = 2 * 100

describe.skipIf(inject('postgresUrl') === null)(
  'a followed table whose log breaks off',
  { timeout: 300_000 },
  () => {
    let followed: FollowedProject
    let stream: StreamedProject
    let change = 0
    beforeAll(async () => {
      followed = await FollowedProject.open('removalGuard: false\ntimeout: 2s')
      stream = followed.stream
      stream.up()
      await stream.equal(followed.table, 'the snapshot')
    }, 180_000)
    afterAll(async () => {
      await followed[Symbol.asyncDispose]()
    })

    /** Changes, adds and removes a row. */
    const changeRows = async (): Promise<void> => {
      change += 1
      await followed.table.run(`UPDATE $table SET name = 'change ${change}' WHERE id = 1`)
      await followed.table.run(`INSERT INTO $table (id, name) VALUES (${1_000 + change}, 'added')`)
      await followed.table.run(`DELETE FROM $table WHERE id = ${1_000 + change - 1}`)
    }
    const withoutRepeats = async (what: string): Promise<void> => {
      await stream.equal(followed.table, what)
      expect(stream.received.repeats, what).toBe(0)
    }
    /** Ends whoever reads the slot, until it is free. */
    const freeSlot = async (): Promise<void> => {
      const reader = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${followed.slot}' AND active_pid IS NOT NULL`
      await followed.query(reader)
    }

    it('goes on where it was when its connections are cut', async () => {
      for (let cut = 0; cut < 5; cut += 1) {
        await changeRows()
        await freeSlot()
        await changeRows()
        await withoutRepeats('a cut')
      }
      expect(await stream.noticed()).toEqual([])
    })

    it('goes on where it was when the database is restarted', async () => {
      await changeRows()
      await followed.postgres.restart()
      await changeRows()
      await withoutRepeats('a restart')
      await followed.postgres.kill()
      await followed.postgres.start()
      await changeRows()
      await withoutRepeats('a crash')
    })

    it('compares, and says why, once its slot was dropped', async () => {
      await changeRows()
      const drop = async (): Promise<boolean> => {
        await freeSlot()
        const dropped = followed.query(`SELECT pg_drop_replication_slot('${followed.slot}')`)
        return await dropped.then(
          () => true,
          () => false,
        )
      }
      await expect.poll(drop, PATIENCE).toBe(true)
      await changeRows()
      await withoutRepeats('a dropped slot')
      expect(await stream.noticed()).toContainEqual(
        expect.stringMatching(/^the log broke off: .*replication slot/),
      )
    })

    it('compares, and says why, once its slot was invalidated', async () => {
      await followed.query(`ALTER SYSTEM SET max_slot_wal_keep_size = 1`)
      await followed.query('SELECT pg_reload_conf()')
      stream.signal('SIGSTOP')
      try {
        await changeRows()
        const isLost = async (): Promise<boolean> => {
          await followed.query(`SELECT pg_logical_emit_message(false, 'fills', repeat('x', 1000000))`)
          await followed.query('SELECT pg_switch_wal()')
          await followed.query('CHECKPOINT')
          const slots = `SELECT 1 FROM pg_replication_slots WHERE slot_name = '${followed.slot}' AND wal_status = 'lost'`
          return (await followed.query(slots)).length > 0
        }
        await expect.poll(isLost, PATIENCE).toBe(true)
        await followed.query(`ALTER SYSTEM RESET max_slot_wal_keep_size`)
        await followed.query('SELECT pg_reload_conf()')
      } finally {
        stream.signal('SIGCONT')
      }
      await changeRows()
      await withoutRepeats('an invalidated slot')
      expect(await stream.noticed()).toContainEqual(
        expect.stringMatching(/^the log broke off: .*has invalidated the replication slot/),
      )
    })

    it('goes on where it was when it is killed', async () => {
      for (let kill = 1; kill <= 2; kill += 1) {
        for (let edit = 0; edit < 20; edit += 1) await changeRows()
        await stream.end('SIGKILL')
        await changeRows()
        stream.up()
        for (let edit = 0; edit < 5; edit += 1) await changeRows()
        await stream.equal(followed.table, 'a kill')
        expect(stream.received.repeats).toBeLessThanOrEqual(kill * REPEATED_BY_A_KILL)
      }
      expect(stream.received.of(STREAM).size).toBe((await followed.table.rows()).size)
    })
  },
)
