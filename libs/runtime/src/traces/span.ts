/**
 * Traces of runs for OpenTelemetry. Ids follow from the run's id, so that all processes that work on a run
 * write one trace without telling each other.
 */
import { hash } from 'node:crypto'
import type { Logger } from '../logger.ts'

export type Attribute = string | number | boolean

/** A part of a run, once it is over. Times are in ms since 1970. */
export interface Span {
  readonly runId: string
  /**
   * Its place in the run, such as `deliver/3`; `''` for the run itself. Spans with the same place have the
   * same id.
   */
  readonly place: string
  /** The place that it is a part of; null for the run itself. */
  readonly parent: string | null
  /** The name that people see. */
  readonly name: string
  /** True for a request to another server. */
  readonly isRequest?: boolean
  readonly from: number
  readonly to: number
  /** The reason of a failure; null if there was none. */
  readonly error: string | null
  readonly attributes: { readonly [name: string]: Attribute | null }
}

/** Takes spans and sends them later. It never waits, and never fails. */
export interface Traces {
  take(span: Span): void
}

/** The process as its traces name it. */
export interface TracedProcess {
  readonly service: string
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Returns the 128 bits of the run's ULID as 32 hexadecimal digits. */
export function traceId(runId: string): string {
  if (!ULID.test(runId)) return hash('sha256', runId).slice(0, 32)
  let bits = 0n
  for (const letter of runId) bits = bits * 32n + BigInt(ALPHABET.indexOf(letter))
  return bits.toString(16).padStart(32, '0')
}

/** Returns 16 hexadecimal digits that follow from run and place. */
export function spanId({ runId }: Pick<Span, 'runId'>, place: string): string {
  return hash('sha256', `${runId}/${place}`).slice(0, 16)
}
