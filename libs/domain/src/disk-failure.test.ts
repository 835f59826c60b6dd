import { expect, it } from 'vitest'
import { diskFailure, saysDiskFailed } from './disk-failure.ts'

it.each([
  ['IO Error: Could not write to file "x": No space left on device', true],
  ['ENOSPC: no space left on device, write', true],
  ['EIO: i/o error, read', true],
  ['disk quota exceeded', true],
  ['Binder Error: there is no such column "Trofeio"', false],
  ['the value "EIOWA" is no number', false],
])('tells whether %s is of the disk', (message, isOfDisk) => {
  expect(saysDiskFailed(message)).toBe(isOfDisk)
})

it('says what could not be written, why, and what to do', () => {
  const cause = new Error('ENOSPC: no space left on device, write')
  expect(diskFailure('/p/.sluice/key cannot be written', cause)).toMatchObject({
    code: 'disk',
    message: `/p/.sluice/key cannot be written: ${cause.message}. Make room on that disk and run again.`,
    cause,
  })
  expect(diskFailure('/p/.sluice/key cannot be written', new Error('EACCES: permission denied'))).toBeNull()
})
