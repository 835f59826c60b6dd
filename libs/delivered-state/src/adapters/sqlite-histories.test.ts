/**
 * Random histories of the state by key: it says what a plain model says, and it follows from the topics
 * alone.
 */
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { randomFrom, type Random } from '@sluice/testkit/random'
import type { EndedKey } from '../port.ts'
import type { StreamState } from '../stream-port.ts'
import { catchUp, compactedPartition, StreamHistory, toldBy } from '../../test/stream-history.ts'
import { MemoryStreamState } from '../../test/stream-memory.ts'
import { COLUMNS } from '../../test/stream-played.ts'
import { openStreamState } from './sqlite.ts'

const PARTITIONS = 3
const HISTORIES = 60
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

const folder = mkdtempSync(join(tmpdir(), 'sluice-stream-state-'))
afterAll(() => rmSync(folder, { recursive: true }))

function open(name: string): StreamState {
  const onDiscard = (why: string): void => expect.fail(why)
  const file = join(folder, `${name}.sqlite`)
  const state = openStreamState({ sync: 's', incarnation: 'i', partitions: PARTITIONS, file, onDiscard })
  state.setColumns(COLUMNS)
  return state
}

function model(): StreamState {
  return new MemoryStreamState({ partitions: PARTITIONS, incarnation: 'i' })
}

/** The same answers of two states, each asked with the same random numbers. */
function expectSame(states: readonly [StreamState, StreamState], seed: number): void {
  const [a, b] = states.map(state => toldBy(state, randomFrom(seed)))
  expect(a).toEqual(b)
}

async function goneOf(state: StreamState, before: number): Promise<readonly EndedKey[]> {
  const told: EndedKey[] = []
  const end = (keys: readonly EndedKey[]): Promise<void> => Promise.resolve(void told.push(...keys))
  await state.endGone(before, end, { signal: new AbortController().signal })
  return told.toSorted((a, b) => a.partition - b.partition || (a.key < b.key ? -1 : 1))
}

async function play(random: Random, name: string): Promise<void> {
  const history = new StreamHistory(random, PARTITIONS)
  let lived = open(name)
  const plain = model()
  for (let run = 0; run < 2 + random.below(6); run += 1) {
    history.run(random.chance(0.7))
    const upTo = random.chance(0.5) ? undefined : random.below(8)
    const onTaken = (): void => expectSame([lived, plain], random.below(2 ** 31))
    catchUp([lived, plain], history.partitions, { random, ...(upTo === undefined ? {} : { upTo }), onTaken })
    expect(lived.positions()).toEqual(plain.positions())
    expect(lived.newestEpoch()).toBe(plain.newestEpoch())
    if (random.chance(0.3)) {
      await lived[Symbol.asyncDispose]()
      lived = open(name)
    }
  }
  catchUp([lived, plain], history.partitions, { random })

  const rebuilt = [open(`${name}-rebuilt`), model()] as const
  const compacted = history.partitions.map(partition => compactedPartition(partition, random))
  catchUp([...rebuilt], compacted, { random })
  for (const state of rebuilt) expectSame([lived, state], random.below(2 ** 31))

  const before = random.below(9) * 1000
  expect(await goneOf(lived, before)).toEqual(await goneOf(plain, before))
  expectSame([lived, plain], random.below(2 ** 31))
  await lived[Symbol.asyncDispose]()
  await rebuilt[0][Symbol.asyncDispose]()
}

describe(`random histories of a state by key (SLUICE_TEST_SEED=${SEED})`, () => {
  it('say what the model says, and what the compacted topics say in any pieces', async () => {
    for (let index = 0; index < HISTORIES; index += 1)
      await play(randomFrom(SEED + index), String(index)).catch((error: unknown) => {
        throw new Error(`history of seed ${SEED + index}`, { cause: error })
      })
  }, 120_000)
})
