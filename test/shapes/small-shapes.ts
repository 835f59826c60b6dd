/**
 * Some of the shapes, and small: that they pass. All of them, at their full size and with the peak memory
 * that belongs to each alone, is `npm run test:shapes`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realServices, startDistributed, type Distributed } from '../e2e/distributed.ts'
import { playShape, type Setting } from './play-shape.ts'

/** Name and scale. */
export type SmallShape = readonly [name: string, scale: number]

const SETTING: Omit<Setting, 'profile' | 'scale'> = {
  services: {},
  databases: { postgres: null, mariadb: null },
  password: '',
  passWithinMs: 60_000,
}

export function embeddedShapes(shapes: readonly SmallShape[]): void {
  describe('a shape, embedded', () => {
    it.for(shapes)('%s arrives row by row and byte by byte', async ([name, scale]) => {
      const { problems } = await playShape(name, { ...SETTING, profile: 'embedded', scale })
      expect(problems).toEqual([])
    })
  })
}

export function distributedShapes(shapes: readonly SmallShape[]): void {
  describe.skipIf(realServices() === null)('a shape, distributed', () => {
    let running: Distributed
    beforeAll(async () => {
      running = await startDistributed()
    })
    afterAll(() => running[Symbol.asyncDispose]())

    it.for(shapes)('%s arrives row by row and byte by byte', async ([name, scale]) => {
      const { problems } = await playShape(name, { ...SETTING, profile: 'distributed', scale, running })
      expect(problems).toEqual([])
    })
  })
}
