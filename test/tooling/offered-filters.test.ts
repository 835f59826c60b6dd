/** The console offers filters by name, and may not import the room that has them. */
import { FILTERS } from '../../services/console/web/ui/liquid-editing.ts'
import { FILTER_NAMES } from '@sluice/templates/filters/filters'
import { expect, it } from 'vitest'

it('the filters that the console offers exist', () => {
  const known = new Set(FILTER_NAMES)
  expect(Object.keys(FILTERS).filter(name => !known.has(name))).toEqual([])
})
