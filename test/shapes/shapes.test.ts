/**
 * The quick ones of the shapes, and small: that they pass in both profiles. All of them, at their full size
 * and with the peak memory that belongs to each alone, is `npm run test:shapes`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realServices, startDistributed, type Distributed } from '../e2e/distributed.ts'
import { playShape, type Setting } from './play-shape.ts'

/** Name and scale. */
const QUICK: readonly (readonly [name: string, scale: number])[] = [
  ['wide-10kb-changes', 0.01],
  ['column-of-7mb', 0.1],
  ['columns-1000', 0.01],
  ['key-1-byte', 1],
  ['key-8-columns', 0.01],
  ['half-leaves', 0.01],
  ['all-rejected', 0.05],
  ['all-unknown', 0.01],
  ['all-throttled-once', 0.03],
]

const SETTING: Omit<Setting, 'profile' | 'scale'> = {
  services: {},
  databases: { postgres: null, mariadb: null },
  password: '',
  passWithinMs: 60_000,
}

describe('a shape, embedded', () => {
  it.for(QUICK)('%s arrives row by row and byte by byte', async ([name, scale]) => {
    const { problems } = await playShape(name, { ...SETTING, profile: 'embedded', scale })
    expect(problems).toEqual([])
  })
})

describe.skipIf(realServices() === null)('a shape, distributed', () => {
  let running: Distributed
  beforeAll(async () => {
    running = await startDistributed()
  })
  afterAll(() => running[Symbol.asyncDispose]())

  it.for(QUICK)('%s arrives row by row and byte by byte', async ([name, scale]) => {
    const { problems } = await playShape(name, { ...SETTING, profile: 'distributed', scale, running })
    expect(problems).toEqual([])
  })
})
