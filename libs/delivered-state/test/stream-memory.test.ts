import { streamContract } from './stream-contract.ts'
import { MemoryStreamState } from './stream-memory.ts'

streamContract('memory', ({ partitions }) => new MemoryStreamState({ partitions, incarnation: 'i' }))
