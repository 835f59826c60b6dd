import { SluiceError } from '@sluice/contracts/errors'
import { expect, it } from 'vitest'
import { SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { runEventRecord } from '@sluice/runs/run-event-record'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import { commandFault, refusedRun } from '../change-detector.ts'

const { signal } = new AbortController()
const COMMAND = { id: 'R', kind: 'run', sync: SYNC, cause: 'manual', run: null, at: 1, scope: null } as const
const HOME = homePartition(SYNC)

it('a command stands under the name of its sync, in the home of that sync', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const target = at(sharedTopics(PREFIX).commands, HOME)
  const value = world.io.encode('Command', COMMAND)
  const path = world.io.encode('Command', { ...COMMAND, sync: '../x' })
  await world.append(target, [
    { key: textKey(SYNC), value },
    { key: textKey('other'), value },
    { key: textKey('../x'), value: path },
    {
      key: textKey(SYNC),
      value: world.io.encode('ResourceRecord', {
        ...{ kind: 'k', name: 'n', project: '', spec: '' },
        ...{ version: null, at: null, by: null, text: null, folder: null },
      }),
    },
    { key: textKey(SYNC), value: null },
    { key: textKey(SYNC), value: world.io.encode('Command', { ...COMMAND, id: '/../../../tmp/x' }) },
    { key: textKey(SYNC), value: world.io.encode('Command', { ...COMMAND, id: '' }) },
  ])
  const placed = await world.read(target)
  expect(placed.map(each => commandFault(each, HOME)?.code ?? null)).toEqual([
    null,
    'corrupt',
    'corrupt',
    'corrupt',
    null,
    'corrupt',
    'corrupt',
  ])
  expect(placed.slice(0, 1).map(each => commandFault(each, HOME + 1)?.code)).toEqual(['corrupt'])
})

it('the run of a command without the right signature fails, says what to do, and counts as no command', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const fault = new SluiceError('corrupt', 'A record of commands has no signature.')
  const event = refusedRun(COMMAND, { fault, incarnation: 'i', marker: 7, at: 5 })
  await world.append(at(sharedTopics(PREFIX).runs, HOME), [runEventRecord(world.io, event)])
  await world.runs.caughtUp(HOME, { signal })
  expect(world.runs.of(SYNC)?.events.get('R')).toMatchObject({
    ...{ status: 'failed', errorCode: 'config', command: -1, marker: 7 },
    error: expect.stringMatching(/no signature.*SLUICE_SIGNING_KEY/),
  })
})
