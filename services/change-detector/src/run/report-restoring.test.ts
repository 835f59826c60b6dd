import { describe, expect, it } from 'vitest'
import type { Restoring } from '@sluice/contracts/records'
import { createLogger } from '@sluice/runtime/logger'
import { RestoringReporter } from './report-restoring.ts'

/** A restore of a million records, a batch each 100 ms; gives what was logged and written. */
async function restore(why: string | null, batches: number) {
  let now = 0
  const lines: Record<string, unknown>[] = []
  const written: (Restoring | null)[] = []
  const write = (line: string): void => {
    const logged: Record<string, unknown> = JSON.parse(line)
    lines.push(logged)
  }
  const reporter = new RestoringReporter({
    sync: 'people',
    logger: createLogger({ name: 'test', level: 'info', write }),
    steadyNow: () => now,
    write: restoring => {
      written.push(restoring)
      return Promise.resolve()
    },
  })
  for (let batch = 0; batch <= batches; batch++, now += 100)
    await reporter.report({ why, records: Math.floor((batch * 1_000_000) / batches), of: 1_000_000 })
  await reporter.end()
  return { lines, written }
}

describe('what is told of a restore', () => {
  it('of a rebuild is why, a line each few seconds and an event each second, and what it came to', async () => {
    const { lines, written } = await restore('there is no cache of it here', 120)
    expect(lines.map(({ msg }) => msg)).toEqual([
      'the delivered state is rebuilt from its topics',
      'the delivered state is being rebuilt',
      'the delivered state is being rebuilt',
      'the delivered state is rebuilt',
    ])
    expect(lines[0]).toMatchObject({
      sync: 'people',
      why: 'there is no cache of it here',
      records: 1_000_000,
    })
    expect(lines[1]).toMatchObject({ records: 416_666, of: 1_000_000, percent: 41, perSecond: 83_333 })
    expect(written.slice(0, 2)).toMatchObject([{ records: 83_333 }, { records: 166_666 }])
    expect(written).toHaveLength(13)
    expect(written.at(-1)).toBe(null)
  })

  it('of one that is soon over is no event, and of what is merely new no line either', async () => {
    expect(await restore('there is no cache of it here', 9)).toMatchObject({ lines: [{}, {}], written: [] })
    expect(await restore(null, 9)).toEqual({ lines: [], written: [] })
    expect((await restore(null, 60)).lines.map(({ msg }) => msg)).toEqual([
      'the delivered state is being brought up to date',
    ])
  })
})
