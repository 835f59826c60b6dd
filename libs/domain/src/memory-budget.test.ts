import { describe, expect, it } from 'vitest'
import { DEFAULT_MEMORY_BYTES, LEAST_MEMORY_BYTES, memoryBudget } from './memory-budget.ts'

describe('the budget of a process', () => {
  it('gives DuckDB 192 MB and the buffers 128 MB of the default', () => {
    expect(memoryBudget(DEFAULT_MEMORY_BYTES)).toEqual({
      duckdbBytes: 192_000_000,
      buffersBytes: 128_000_000,
    })
  })

  it('leaves the rest of the process at least a third, also of the least that is allowed', () => {
    const { duckdbBytes, buffersBytes } = memoryBudget(LEAST_MEMORY_BYTES)
    expect(LEAST_MEMORY_BYTES - duckdbBytes - buffersBytes).toBeGreaterThan(LEAST_MEMORY_BYTES / 3)
  })
})
