/**
 * Reads blocks of records. A block has two buffers for all of its records, so that a caller with millions of
 * records makes no object for each.
 */
import type { NewRecord, NewRecords, RecordBlock } from './port.ts'

/** Returns the records of a block as views of it. */
export function recordsOf(records: NewRecords): readonly NewRecord[] {
  if (!isBlock(records)) return records
  const { bytes, lengths } = records
  const found: NewRecord[] = []
  let at = 0
  for (let i = 0; i < lengths.length; i += 2) {
    const valueAt = at + (lengths[i] ?? 0)
    const end = valueAt + (lengths[i + 1] ?? 0)
    found.push({ key: bytes.subarray(at, valueAt), value: bytes.subarray(valueAt, end) })
    at = end
  }
  return found
}

export function isBlock(records: NewRecords): records is RecordBlock {
  return 'lengths' in records
}

export function countOf(records: NewRecords): number {
  return isBlock(records) ? records.lengths.length / 2 : records.length
}
