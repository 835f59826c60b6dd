import { expect, it } from 'vitest'
import { DEFAULT_MEMORY_BYTES, memoryBudget } from '@sluice/domain/memory-budget'
import { RendererMemory } from './renderer-memory.ts'

it('the bytes read ahead and in open batches follow from the memory, for any number of partitions', () => {
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
