import { expect, it } from 'vitest'
import { DEFAULT_MEMORY_BYTES, memoryBudget } from '@sluice/domain/memory-budget'
import { RendererMemory } from './renderer-memory.ts'

it('what is read ahead and open in batches follows from the memory, however many the partitions are', () => {
  const { buffersBytes } = memoryBudget(DEFAULT_MEMORY_BYTES)
  const memory = new RendererMemory(buffersBytes)
  const held = (partitions: number): number => {
    while (memory.output.shares < partitions) memory.output.open()
    return partitions * (memory.readerBytes + memory.batchBytes)
  }
  expect(held(1)).toBeGreaterThan(16_000_000)
  for (const partitions of [4, 16, 64])
    expect(held(partitions), `${partitions}`).toBeLessThan(buffersBytes / 3)
  // What each has at least is little.
  expect(held(200)).toBeLessThan(buffersBytes)
})

it('one large batch may be open at the default memory, and more where there is more', () => {
  const { buffersBytes } = memoryBudget(DEFAULT_MEMORY_BYTES)
  const taken = (memory: RendererMemory): number => {
    let count = 0
    while (memory.largeBatches.tryTake() !== null) count += 1
    return count
  }
  expect(taken(new RendererMemory(buffersBytes))).toBe(1)
  expect(taken(new RendererMemory(buffersBytes * 4))).toBe(4)
})
