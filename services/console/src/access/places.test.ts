import { expect, it } from 'vitest'
import { Places } from './places.ts'

it('each caller has so many places, all have so many, and what is given back may be taken again', () => {
  const places = new Places({ atOnce: 3, atOncePerCaller: 2 })
  const [first] = [places.take('ann'), places.take('ann')]
  expect(() => places.take('ann')).toThrow('2 such requests of yours')
  places.take('bob')
  expect(() => places.take('bob')).toThrow('3 such requests are under way')
  first?.()
  places.take('bob')
  expect(() => places.take('bob')).toThrow('2 such requests of yours')
})
