/** How far a file has come in the topics, and what it has in all. */
import { SluiceError } from '@sluice/contracts/errors'
import type { FedFor, StatePositions } from '../../port.ts'
import type { StreamFeed } from '../../stream-port.ts'
import type { SqlValue, StreamFile } from './stream-file.ts'
import type { Totals } from './take-feed.ts'

const FED_FOR = 'fed_for'

export function loadPositions(file: StreamFile): StatePositions {
  const rows = file.all(
    'SELECT changes, retry, captured, last_offset, last_run, last_seq FROM positions ORDER BY number',
  )
  const column = (index: number): readonly number[] => rows.map(row => Number(row[index]))
  const fedFor = file.get('SELECT value FROM meta WHERE name = ?', FED_FOR)?.[0]
  return {
    changes: column(0),
    retry: column(1),
    captured: column(2),
    lastChange: rows.map(([, , , offset = null, run, seq]) =>
      offset === null ? null : { offset: Number(offset), run: Number(run), seq: Number(seq) },
    ),
    fedFor: fedFor === undefined ? null : (JSON.parse(String(fedFor)) as FedFor),
    kept: null,
  }
}

/** Saves the positions of one partition, and the run that the state is fed for. */
export function savePositions(file: StreamFile, positions: StatePositions, partition: number): void {
  const last = positions.lastChange[partition] ?? null
  const place: readonly SqlValue[] = last === null ? [null, null, null] : [last.offset, last.run, last.seq]
  const [changes = 0, retry = 0, captured = 0] = [positions.changes, positions.retry, positions.captured].map(
    ends => ends[partition],
  )
  file.run(
    `UPDATE positions SET changes = ?, retry = ?, captured = ?, last_offset = ?, last_run = ?, last_seq = ?
     WHERE number = ?`,
    ...[changes, retry, captured, ...place, partition],
  )
  const { fedFor } = positions
  if (fedFor !== null) file.run('INSERT OR REPLACE INTO meta VALUES (?, ?)', FED_FOR, JSON.stringify(fedFor))
}

/** Returns the positions after a feed. */
export function positionsAfter(
  positions: StatePositions,
  { partition, changes, retry, captured, fedFor }: StreamFeed,
): StatePositions {
  const from = positions.changes[partition] ?? 0
  const last = changes?.records.findLast(({ change, offset }) => change !== null && offset >= from)
  const ends = {
    changes: Math.max(from, changes?.nextOffset ?? 0),
    retry: retry?.nextOffset,
    captured: captured?.nextOffset,
  }
  const next = (name: 'changes' | 'retry' | 'captured'): readonly number[] => {
    const end = ends[name]
    return end === undefined ? positions[name] : positions[name].with(partition, end)
  }
  const { lastChange } = positions
  return {
    changes: next('changes'),
    retry: next('retry'),
    captured: next('captured'),
    lastChange:
      last === undefined || last.change === null
        ? lastChange
        : lastChange.with(partition, { offset: last.offset, run: last.change.run, seq: last.change.seq }),
    fedFor: fedFor ?? positions.fedFor,
    kept: null,
  }
}

export function loadTotals(file: StreamFile): Totals {
  const [believed, failed, epoch] = file.get('SELECT believed, failed, epoch FROM totals') ?? []
  if (epoch === undefined) throw new SluiceError('corrupt', 'the delivered state has no totals')
  return { believed: Number(believed), failed: Number(failed), epoch: Number(epoch) }
}
