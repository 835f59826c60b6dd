import type { Frame } from './frame.ts'

/** Writes the JSON of the frame's present row. Throws a `PartFault` if it cannot. */
export type ItemWriter = (frame: Frame) => string
