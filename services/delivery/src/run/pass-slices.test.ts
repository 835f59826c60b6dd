import { expect, it } from 'vitest'
import type { NewRecord } from '@sluice/message-log/port'
import type { Slice } from '@sluice/contracts/records'
import { Notifier } from '@sluice/flow/notifier'
import { PassedSlices } from './pass-slices.ts'

it('passes on the newest end, however many have waited', async () => {
  const over = new AbortController()
  const { signal } = over
  const passed: number[] = []
  const ledger = { position: 0, attemptsEnd: 0, changes: new Notifier(), room: () => Promise.resolve() }
  const io = { encode: (_: string, { slice }: Slice) => slice }
  const append = (_: unknown, [record]: readonly NewRecord[]) => {
    passed.push(Number(record?.value))
    over.abort()
    return Promise.resolve({ baseOffset: 0 })
  }
  const ownership = { incarnation: 'i', markerOffset: () => 0, append }
  const retry = { topic: 'retry', partition: 0 }
  const parts = { io, ownership, ledger, retry, abort: signal } as unknown as ConstructorParameters<
    typeof PassedSlices
  >[0]
  const slices = new PassedSlices(parts, () => Promise.resolve())
  for (let slice = 1; slice <= 4_097; slice += 1)
    slices.take(slice, { run: 1, slice, committedAt: null } as Slice)
  ledger.position = 4_097
  await slices.passOn(signal)
  expect(passed).toEqual([4_097])
})
