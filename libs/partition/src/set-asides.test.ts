import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { NO_FIGURES } from './figures.ts'
import { pauseAfter, SetAsides } from './set-asides.ts'

function watched() {
  const told: string[] = []
  const log = (level: string) => (_: object, text: string) => told.push(`${level}: ${text}`)
  const asides = new SetAsides({
    stage: 'requests',
    sync: 's',
    logger: { error: log('error'), info: log('info') } as never,
    figures: { ...NO_FIGURES, setAside: (stage, sync, now) => told.push(`${stage} ${sync} ${now}`) },
  })
  return { asides, told }
}

const denied = new SluiceError('unreachable', 'no right to write')

it('says once why, counts the partitions, and says once when it works again', () => {
  const { asides, told } = watched()
  asides.failed(0, denied)
  asides.failed(0, denied)
  asides.failed(1, denied)
  asides.works(0)
  asides.works(0)
  asides.works(1)
  expect(told).toEqual([
    'requests s 1',
    'error: the sync is set aside: no right to write',
    'requests s 2',
    'error: the sync is set aside: no right to write',
    'requests s 1',
    'info: the sync is worked on again',
    'requests s 0',
    'info: the sync is worked on again',
  ])
})

it('tells of another reason, and says nothing of what nobody tries any more', () => {
  const { asides, told } = watched()
  asides.failed(null, denied)
  asides.failed(null, new SluiceError('corrupt', 'no Avro'))
  asides.left(null)
  asides.left(null)
  asides.works(null)
  expect(told.slice(2)).toEqual(['requests s 1', 'error: the sync is set aside: no Avro', 'requests s 0'])
})

it('pauses grow up to a bound, and differ from sync to sync', () => {
  const middle = (): number => 0.5
  expect([1, 2, 3, 7, 8, 5000].map(failures => pauseAfter(failures, middle))).toEqual([
    1_000, 2_000, 4_000, 60_000, 60_000, 60_000,
  ])
  expect([pauseAfter(1, () => 0), pauseAfter(1, () => 0.999)]).toEqual([750, expect.closeTo(1250, -1)])
})
