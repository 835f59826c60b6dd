/**
 * Compares the delivered state that has lived on with one that is rebuilt from the topics (R3). Compares both
 * with the state of each key that its changes and their outcomes give.
 */
import { existsSync, statSync } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { feedState } from '@sluice/change-detector/detect/feed-state'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { readStateTables, type StateTables } from '@sluice/delivered-state/test/state-tables'
import { syncTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import type { TestLog } from '@sluice/testkit/test-log'
import type { Known } from './judge-changes.ts'

const never = new AbortController().signal

export interface Compared {
  readonly log: TestLog
  /** The state's file. No run has it open, but the last one may still be closing it. */
  readonly file: string
  readonly incarnation: string
  readonly partitions: number
  /** The state of each key, by the topics. */
  readonly known: ReadonlyMap<string, Known>
}

/** The difference, or null. Changes neither the file nor the topics. */
export async function differenceOfStates({ known, ...of }: Compared): Promise<string | null> {
  const folder = join(of.log.folder, 'compared')
  await mkdir(folder)
  try {
    const [live, rebuilt] = [join(folder, 'live.duckdb'), join(folder, 'rebuilt.duckdb')]
    while (!(await isCopied(of.file, live))) await rm(`${live}.wal`, { force: true })
    for (const file of [live, rebuilt]) await feed(file, of)
    const [ofLive, ofRebuilt] = await readStateTables([live, rebuilt])
    if (ofLive === undefined || ofRebuilt === undefined) throw new Error('two states were made')
    if (!isDeepStrictEqual(ofLive, ofRebuilt))
      return `the state that lived on is ${shown(ofLive)}, and the rebuilt one ${shown(ofRebuilt)}`
    return differenceOfKeys(ofLive, known)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * False if the file changed meanwhile: a run's end is told before its state is closed, and closing empties
 * the write-ahead log into the file.
 */
async function isCopied(file: string, to: string): Promise<boolean> {
  const before = stampOf(file)
  try {
    for (const end of ['', '.wal'])
      if (existsSync(`${file}${end}`)) await copyFile(`${file}${end}`, `${to}${end}`)
  } catch (error) {
    if (existsSync(`${file}.wal`)) throw error
    return false
  }
  return stampOf(file) === before
}

function stampOf(file: string): string {
  const stamps = ['', '.wal'].map(end => statSync(`${file}${end}`, { throwIfNoEntry: false }))
  return JSON.stringify(stamps.map(stamp => stamp && [stamp.mtimeMs, stamp.size, stamp.ino]))
}

async function feed(
  file: string,
  { log, incarnation, partitions }: Omit<Compared, 'known' | 'file'>,
): Promise<void> {
  await using state = await openDeliveredState({ file, sync: SYNC, incarnation, partitions })
  const topics = syncTopics(log.prefix, SYNC)
  await feedState(state, { ...log, topics, incarnation, partitions, faults: [], signal: never })
}

function differenceOfKeys({ keys }: StateTables, known: ReadonlyMap<string, Known>): string | null {
  for (const key of new Set([...known.keys(), ...Object.keys(keys)])) {
    const { kind, row, muted, partition } = known.get(key) ?? ABSENT
    const stored = keys[key] ?? ABSENT
    const isRight =
      stored.kind === kind &&
      isDeepStrictEqual({ ...stored.row }, { ...row }) &&
      (stored.muted === null) === (muted === null) &&
      (kind === 'absent' || stored.partition === partition)
    if (!isRight)
      return `the state of ${key} is ${shown(stored)}, and follows as ${shown({ kind, row, muted, partition })}`
  }
  return null
}

const ABSENT = { kind: 'absent', row: null, muted: null, partition: null } as const

function shown(of: object): string {
  return JSON.stringify(of)
}
