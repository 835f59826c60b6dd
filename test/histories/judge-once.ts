/**
 * Judges `delivery: at-most-once` by what an API got: a row that may have arrived goes out again only after
 * somebody has decided about it, and once for each decision, whatever died meanwhile.
 */
import { isDeepStrictEqual } from 'node:util'
import { toldOf, type Send } from './judge-requests.ts'
import type { PrintedRow } from './pipeline-definition.ts'
import type { PipelineCommand, PipelineRun } from './pipeline-plan.ts'

/** The decision of a person. */
export interface Asked extends Pick<PipelineRun, 'command' | 'named'> {
  /** The number of requests that the API had by then. */
  readonly sends: number
}

interface Last {
  readonly row: PrintedRow
  readonly told: ReturnType<typeof toldOf>
  isDecided: boolean
}

const DECISIONS: readonly PipelineCommand[] = ['retry', 'discard']
const NOTHING_HAPPENED: readonly unknown[] = ['not-sent', 429, 'throttled']
const IN_DOUBT: readonly unknown[] = ['cut', 408, 500, 'unknown']
const TAKEN: readonly unknown[] = [200, 'delivered']

export function judgeOnce(of: {
  readonly sends: readonly Send[]
  readonly asked: readonly Asked[]
  readonly onBroken: (what: string) => never
}): void {
  const last = new Map<string, Last>()
  const decide = ({ command, named }: Asked): void => {
    for (const [key, known] of last) {
      const isMeant = named === null || named === key
      const isResent = command.startsWith('resync') && TAKEN.includes(known.told)
      known.isDecided ||= isMeant && (isResent || DECISIONS.includes(command))
    }
  }
  const asked = [...of.asked]
  for (const [index, send] of of.sends.entries()) {
    while ((asked[0]?.sends ?? Infinity) <= index) asked.splice(0, 1).forEach(decide)
    for (const row of send.rows) {
      const told = toldOf(send, row.key)
      if (NOTHING_HAPPENED.includes(told)) continue
      const before = last.get(row.key)
      const isRepeated =
        before !== undefined &&
        (IN_DOUBT.includes(before.told) || (TAKEN.includes(before.told) && isSameRow(before.row, row)))
      if (isRepeated && !before.isDecided)
        of.onBroken(
          `run ${send.run}: ${row.key} was ${row.op}, which nobody has decided after ${String(before.told)} to ${before.row.op}`,
        )
      last.set(row.key, { row, told, isDecided: false })
    }
  }
}

/** A changed row may go out as it was, for a column that it does not print. */
function isSameRow(before: PrintedRow, row: PrintedRow): boolean {
  return row.op !== 'changed' && isDeepStrictEqual(before, row)
}
