import type { Frame } from './frame.ts'

/** Writes the JSON of the row that the frame is at; throws a `PartFault` where it cannot. */
export type ItemWriter = (frame: Frame) => string
