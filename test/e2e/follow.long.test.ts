/**
 * A table of PostgreSQL is streamed to an API by `follow`, in one process. The API keeps the rows that it was
 * sent. They are the rows of the table, in whatever way it changes.
 */
import { expect, inject, it } from 'vitest'
import { FollowedProject } from './followed-project.ts'
import { STREAM } from './streamed-project.ts'
import { changeInEachWay } from './streamed-tables.ts'

/** Only what hangs takes so long, also on a busy machine. */
const PATIENCE = { timeout: 120_000, interval: 100 }

it.skipIf(inject('postgresUrl') === null)(
  'what PostgreSQL tells by `follow` arrives at an API as it is in the table',
  { timeout: 900_000 },
  async () => {
    await using followed = await FollowedProject.open('removalGuard: { share: 0.5, rows: 100 }')
    const { table, stream } = followed
    const { received, project } = stream
    const checked = await project.sluice('validate', '--connect')
    expect(checked.exitCode, checked.stderr).toBe(0)
    expect((await project.sluice('preview', STREAM)).stdout).toMatch(/sluice.* up` sends each change/)
    expect(await followed.query('SELECT slot_name FROM pg_replication_slots')).toEqual([])
    expect(await followed.query('SELECT pubname FROM pg_publication')).toEqual([])
    await followed.query('CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader')
    const yaml = await project.read('project.yaml')
    const asReader = followed.postgres.address.replace('postgres@', 'reader@')
    await project.write('project.yaml', yaml.replace('${POSTGRES_URL}', asReader))
    const refused = await project.sluice('validate', '--connect')
    await project.write('project.yaml', yaml)
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toContain('as a superuser, run ALTER ROLE reader REPLICATION')

    stream.up()
    await changeInEachWay([table], { bulk: [table], equal: what => stream.equal(table, what) })
    expect(received.repeats).toBe(0)

    const before = received.of(STREAM).size
    await table.run('TRUNCATE $table')
    await table.run(`INSERT INTO $table (id, name) VALUES (1, 'again')`)
    const held = async (): Promise<string | null> =>
      (await stream.runs()).find(({ status }) => status === 'held')?.id ?? null
    await expect.poll(held, PATIENCE).not.toBeNull()
    const id = (await held()) ?? ''
    const { stdout } = await project.sluice('runs', 'show', id)
    expect(stdout).toContain(`would remove ${(before - 1).toLocaleString('en')} of`)
    expect(received.take(stream.api.requests).of(STREAM).size).toBe(before)

    await project.sluice('approve', id)
    await stream.equal(table, 'an emptied table')
    expect(received.repeats).toBe(0)

    const retried = await project.sluice('retry', STREAM)
    expect(retried.exitCode, retried.stderr).toBe(0)
    expect(retried.stdout).toContain('none waits for a retry')
    const resynced = await project.sluice('resync', STREAM)
    expect(resynced.exitCode, resynced.stderr).toBe(0)
    expect(received.take(stream.api.requests).repeats).toBe(1)

    // The next run goes on with the stream.
    await expect
      .poll(async () => (await stream.runs())[0], PATIENCE)
      .toMatchObject({
        ...{ status: 'running', cause: 'schedule' },
        stream: { comparing: null },
      })
    await stream.end('SIGINT')
    const { stdout: syncs } = await project.sluice('syncs')
    expect(syncs).toContain('interrupted')
    expect(syncs).not.toMatch(/running|streaming/)
  },
)
