import { SluiceError } from '@sluice/contracts/errors'
import { expect, it } from 'vitest'
import { projectChecks } from './machine-checks.ts'

it('a project with a mistake is a problem, in the words of its error', async () => {
  const message = 'The project in /p has an error.'
  const error = new SluiceError('config', message, { details: [{ file: 'a.yaml', message: 'wrong' }] })
  expect(await projectChecks('/p', null, () => Promise.reject(error))).toEqual([
    expect.objectContaining({ check: 'project', status: 'problem', found: message }),
  ])
})
