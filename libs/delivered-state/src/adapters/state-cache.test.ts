/**
 * The caches of a folder: a sync that compares tables, and becomes a stream, goes on from its own positions.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomInt } from 'node:crypto'
import { afterAll, expect, it } from 'vitest'
import { randomFrom, type Random } from '@sluice/testkit/random'
import type { DeliveredState } from '../port.ts'
import type { StreamState } from '../stream-port.ts'
import { duckdbHarness } from '../../test/duckdb-harness.ts'
import { changesOf, requestFor, TIMEOUT } from '../../test/harness.ts'
import { catchUp, StreamHistory, type PlayedPartition } from '../../test/stream-history.ts'
import { COLUMNS } from '../../test/stream-played.ts'
import { foundCaches, openState, openStreamState } from './state-cache.ts'

const PARTITIONS = 3
/** A diff makes twins uncertain that are removed together. */
const NO_TWINS = ['a', 'b', 'c c', 'd', 'E', 'f', 'g', 'h']
const HISTORIES = 8
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const NO_ROWS = "SELECT '' AS id, 0::BIGINT AS v LIMIT 0"
const LOGGER = { warn: (about: object): void => expect.fail(JSON.stringify(about)) }

const harness = duckdbHarness()
const folder = mkdtempSync(join(tmpdir(), 'sluice-caches-'))
afterAll(() => rmSync(folder, { recursive: true }))

const newFolder = (name: string): string => {
  mkdirSync(join(folder, name, 'state'), { recursive: true })
  return join(folder, name)
}

/** Takes in what the state has not yet, of all partitions. */
async function feed(state: DeliveredState, partitions: readonly PlayedPartition[]): Promise<void> {
  const from = await state.positions()
  for (const [partition, { changes, retry, captured, lost }] of partitions.entries()) {
    const news = changes.records.filter(({ offset }) => offset >= (from.changes[partition] ?? 0))
    const isLast = (offset: number, key: string): boolean =>
      news.findLast(change => change.key === key)?.offset === offset
    await state.feed({
      partition,
      changes: {
        records: news.map(({ offset, timestamp, key, value }) =>
          value === null ? { offset, key, change: null } : { offset, timestamp, change: value },
        ),
        nextOffset: changes.end,
      },
      lost: news.flatMap(({ offset, key }) => {
        const value = lost.get(offset)
        return value !== undefined && isLast(offset, key) ? [{ key, value }] : []
      }),
      retry: {
        records: retry.records.filter(({ offset }) => offset >= (from.retry[partition] ?? 0)),
        nextOffset: retry.end,
      },
      captured: {
        records: captured.records.filter(({ offset }) => offset >= (from.captured[partition] ?? 0)),
        nextOffset: captured.end,
      },
    })
  }
  await state.commit()
}

/** Returns the beliefs of a state about the destination, by key. */
async function believedOf(state: DeliveredState): Promise<ReadonlyMap<string, unknown>> {
  const { changes } = await changesOf(await state.diff(await requestFor(harness, NO_ROWS)))
  const removed = changes.filter(({ op }) => op === 'removed')
  return new Map(
    removed.map(({ key, before, beforeState, partition, captured }) => [
      key,
      { row: before, state: beforeState, partition, captured },
    ]),
  )
}

function believedBy(state: StreamState): ReadonlyMap<string, unknown> {
  const believed = state.inOrder(null, 1_000).filter(known => known.state !== 'absent')
  return new Map(
    believed.map(({ key, row, state: is, partition, captured }) => [
      key,
      { row, state: is, partition, captured },
    ]),
  )
}

async function play(random: Random, dataDir: string): Promise<void> {
  const history = new StreamHistory(random, PARTITIONS, NO_TWINS)
  const place = { sync: 's', incarnation: 'i', partitions: PARTITIONS }
  const openStream = async (): Promise<StreamState> => {
    const state = await openStreamState(dataDir, place, LOGGER)
    state.setColumns(COLUMNS)
    return state
  }
  for (let turn = 0; turn < 3 + random.below(3); turn += 1) {
    const isStream = turn % 2 === 0
    for (let run = 0; run < 1 + random.below(3); run += 1) {
      history.run(isStream)
      if (isStream) {
        await using state = await openStream()
        catchUp([state], history.partitions, { random })
      } else {
        await using state = await openState(dataDir, { ...place, memoryLimit: '64MB' }, LOGGER)
        await feed(state, history.partitions)
      }
    }
  }
  await using stream = await openStream()
  await using table = await openState(dataDir, { ...place, memoryLimit: '64MB' }, LOGGER)
  catchUp([stream], history.partitions, { random })
  await feed(table, history.partitions)
  expect(believedBy(stream)).toEqual(await believedOf(table))
}

it(
  `a sync that streams and compares tables by turns loses nothing of either (SLUICE_TEST_SEED=${SEED})`,
  TIMEOUT,
  async () => {
    for (let index = 0; index < HISTORIES; index += 1)
      await play(randomFrom(SEED + index), newFolder(`turns-${index}`)).catch((error: unknown) => {
        throw new Error(`history of seed ${SEED + index}`, { cause: error })
      })
  },
)

it('the caches of earlier incarnations are removed, whichever they are', TIMEOUT, async () => {
  const dataDir = newFolder('incarnations')
  const open = async (incarnation: string): Promise<void> => {
    const place = { sync: 's', incarnation, partitions: 1 }
    await using _stream = await openStreamState(dataDir, place, LOGGER)
    await using _table = await openState(dataDir, { ...place, memoryLimit: '64MB' }, LOGGER)
  }
  await open('i')
  expect(readdirSync(join(dataDir, 'state')).toSorted()).toEqual(['s.i.duckdb', 's.i.sqlite'])
  await open('j')
  expect(readdirSync(join(dataDir, 'state')).toSorted()).toEqual(['s.j.duckdb', 's.j.sqlite'])
  await using _ = await openStreamState(dataDir, { sync: 's', incarnation: 'k', partitions: 1 }, LOGGER)
  expect(readdirSync(join(dataDir, 'state')).filter(name => !name.startsWith('s.k.'))).toEqual([])
})

it(
  'the caches of a folder are listed by sync, with whether this version can use all of them',
  TIMEOUT,
  async () => {
    const dataDir = newFolder('listed')
    for (const sync of ['a', 'b']) {
      await using _stream = await openStreamState(dataDir, { sync, incarnation: 'i', partitions: 1 }, LOGGER)
      await using _table = await openState(
        dataDir,
        { sync, incarnation: 'i', partitions: 1, memoryLimit: '64MB' },
        LOGGER,
      )
    }
    const before = readdirSync(join(dataDir, 'state')).toSorted()
    expect(await foundCaches(dataDir)).toEqual([
      { sync: 'a', fits: true },
      { sync: 'b', fits: true },
    ])
    expect(readdirSync(join(dataDir, 'state')).toSorted()).toEqual(before)
    writeFileSync(join(dataDir, 'state', 'b.i.sqlite'), 'x'.repeat(4_096))
    expect(await foundCaches(dataDir)).toEqual([
      { sync: 'a', fits: true },
      { sync: 'b', fits: false },
    ])
  },
)
