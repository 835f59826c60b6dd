import type { Value } from '@sluice/contracts/values'
import { MemoryStream } from './memory-stream.ts'
import { streamContract, type StreamedTable, type Written, type WrittenRow } from './stream-contract.ts'

const COLUMNS = [
  { name: 'id', type: { kind: 'integer' } },
  { name: 'name', type: { kind: 'text' } },
  { name: 'note', type: { kind: 'text' } },
] as const

function tableOf(partitions: number): StreamedTable {
  const stream = new MemoryStream({ columns: COLUMNS, primaryKey: ['id'], partitions, mayLack: ['note'] })
  const soon = (work: () => void): Promise<void> => Promise.resolve().then(work)
  const row = (id: number): WrittenRow => {
    const { name, note } = stream.table.get(String(id)) ?? {}
    const text = (value: Value | undefined) => (typeof value === 'string' ? value : null)
    return { id, name: text(name), note: text(note) }
  }
  const writeOne = ({ id, row: written }: Written): void => {
    if (written === null) stream.remove(String(id))
    else stream.put({ id, ...written })
  }
  return {
    model: { kind: 'model', name: 'people', source: 'memory', table: 'people', primaryKey: ['id'] },
    open: () => stream.source(),
    write: (...changes) => soon(() => changes.forEach(writeOne)),
    breaks: {
      truncated: () => soon(() => stream.truncate()),
      snapshot: () => soon(() => stream.snapshot([{ ...row(1) }])),
      columns: () => soon(() => stream.setColumns([...COLUMNS])),
      lost: () => soon(() => stream.forget()),
      history: () => soon(() => stream.anew()),
      partitions: () => soon(() => stream.grow(1)),
    },
    changeKey: (from, to) => soon(() => stream.changeKey(String(from), { ...to })),
    writeLacking: (id, name) => soon(() => stream.put({ ...row(id), name }, { lacks: ['note'] })),
    repeat: () => soon(() => [0, 1, 2].forEach(partition => stream.repeat(partition, 2))),
    writeUnreadable: () => soon(() => stream.unreadable('no JSON')),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

for (const partitions of [1, 3])
  streamContract(
    `a stream in memory with ${partitions} partitions`,
    () => ({
      make: () => Promise.resolve(tableOf(partitions)),
    }),
    { cannot: ['disconnect'] },
  )
