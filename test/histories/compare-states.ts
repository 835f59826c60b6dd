/**
 * Compares the delivered state that has lived on with one that is rebuilt from the topics (R3). Compares both
 * with the state of each key that its changes and their outcomes give.
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { feedState } from '@sluice/change-detector/detect/feed-state'
import { openDeliveredState } from '@sluice/delivered-state/adapters/duckdb'
import { readStateTables, type StateTables } from '@sluice/delivered-state/contract/state-tables'
import { syncTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import type { TestLog } from '@sluice/testkit/test-log'
import type { Known } from './judge-changes.ts'

const never = new AbortController().signal

export interface Compared {
  readonly log: TestLog
  /** The state's file, which no run has open. */
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
    const [live, anew] = [join(folder, 'live.duckdb'), join(folder, 'anew.duckdb')]
    for (const end of ['', '.wal'])
      if (existsSync(`${of.file}${end}`)) await copyFile(`${of.file}${end}`, `${live}${end}`)
    for (const file of [live, anew]) await feed(file, of)
    const [ofLive, ofAnew] = await readStateTables([live, anew])
    if (ofLive === undefined || ofAnew === undefined) throw new Error('two states were made')
    if (!isDeepStrictEqual(ofLive, ofAnew))
      return `the state that lived on is ${shown(ofLive)}, and made anew ${shown(ofAnew)}`
    return differenceOfKeys(ofLive, known)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
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
