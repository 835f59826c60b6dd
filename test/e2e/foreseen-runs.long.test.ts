/** Before each run of a random history, a preview shows what that run then does. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { findNextChanges } from '@sluice/change-detector/detect/next-changes'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { renderChanges } from '@sluice/templates/rendering/render-changes'
import { createSqliteCodec } from '@sluice/schema-codec/adapters/sqlite'
import { openSource } from '@sluice/sources/adapters/open-source'
import { RecordIo } from '@sluice/topics/record-io'
import { randomFrom } from '@sluice/testkit/random'
import { PREFIX } from '@sluice/testkit/test-log'
import { OneProcess } from './one-process.ts'

const RUNS = 10
const IDS = 12
const { signal } = new AbortController()

/** Methods and paths, sorted. */
async function foreseen(world: OneProcess, run: number): Promise<readonly string[]> {
  const { definition, log } = world
  const file = (name: string): string => join(log.folder, 'tmp', `${run}.${name}`)
  await using codec = createSqliteCodec({ file: file('schemas') })
  await using next = await findNextChanges({
    history: log,
    io: RecordIo.reading(codec, PREFIX),
    definition,
    openSource: ({ source }) => Promise.resolve(openSource(source, { secretFor: () => '' })),
    openState: of => openDeliveredState({ ...of, file: file('state') }),
    extractFile: file('extract'),
    signal,
  })
  expect(next.interrupted).toBe(false)
  const context = { run: { id: 'x', startedAt: '2024-02-29T12:34:56.000Z' }, sync: { name: 'x' } }
  const requests: string[] = []
  for await (const { rendered } of renderChanges(next.changes({}), definition, context))
    if (rendered.kind === 'request') requests.push(`${rendered.method} ${rendered.path}`)
  return requests.toSorted()
}

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? Date.now() % 1_000_000)

it(`a preview foresees each run of a random history (SLUICE_TEST_SEED=${seed})`, async () => {
  const random = randomFrom(seed)
  await using world = await OneProcess.open()
  world.start()
  let requests = 0
  for (let run = 1; run <= RUNS; run += 1) {
    const ids = Array.from({ length: IDS }, (_, id) => id)
    await world.setRows(ids.filter(() => random.chance(0.6)))
    world.api.statusOf = () => random.pick([200, 200, 422, 500, 404])
    const wanted = await foreseen(world, run)
    world.api.requests.length = 0
    await world.run()
    expect(world.api.requests.toSorted(), `run ${run}`).toEqual(wanted)
    requests += wanted.length
  }
  expect(requests).toBeGreaterThan(RUNS)
})
