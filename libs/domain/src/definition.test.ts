import { sync } from '@sluice/contracts/resources'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { lookUpDefinition } from './definition.ts'

it('a definition has no labels, so that an edit of them alone changes no run', () => {
  const { source, model, destination, sync: plain } = sampleDefinition()
  const pinned = (labels?: readonly string[]) => {
    const edited = labels === undefined ? plain : { ...plain, labels: [...labels] }
    const all = { source, model, destination, sync: edited }
    return lookUpDefinition((kind, _name) => (kind === 'alert' ? undefined : all[kind]), plain.name)
  }
  expect(sync.shape.labels.safeParse(['crm', 'eu: west']).success).toBe(true)
  expect(pinned()).toMatchObject({ kind: 'found' })
  expect(pinned(['crm', 'eu: west'])).toEqual(pinned())
})
