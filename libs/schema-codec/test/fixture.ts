/**
 * The part that the files of the suite share: codecs that are closed after each test, subjects of their own,
 * and a round trip.
 */
import { afterAll, afterEach, beforeAll } from 'vitest'
import type { AvroRecordSchema } from '@sluice/contracts/avro/types'
import type { Change, WrittenChange } from '@sluice/contracts/records'
import type { Column, Row } from '@sluice/contracts/values'
import type { SchemaCodec } from '../src/port.ts'
import { RECORD_SAMPLES } from './record-samples.ts'

export interface SchemaCodecHarness {
  /** A codec that knows nothing yet, over the same schemas as those opened before, as in another process. */
  open(): SchemaCodec
  close(): Promise<void>
}

export class Fixture {
  readonly #start: () => Promise<SchemaCodecHarness>
  readonly #codecs: SchemaCodec[] = []
  #harness: SchemaCodecHarness | undefined
  #subjects = 0
  readonly signal = new AbortController().signal

  constructor(start: () => Promise<SchemaCodecHarness>) {
    this.#start = start
  }

  register(): void {
    beforeAll(async () => {
      this.#harness = await this.#start()
    })
    afterEach(async () => {
      for (const codec of this.#codecs.splice(0)) await codec[Symbol.asyncDispose]()
    })
    afterAll(() => this.#harness?.close())
  }

  open(): SchemaCodec {
    if (this.#harness === undefined) throw new Error('the harness did not start')
    const codec = this.#harness.open()
    this.#codecs.push(codec)
    return codec
  }

  subject(): string {
    this.#subjects += 1
    return `contract.${Date.now().toString(36)}.${this.#subjects}.Change`
  }

  async encoded(
    codec: SchemaCodec,
    schema: AvroRecordSchema,
    values: readonly object[],
  ): Promise<Uint8Array[]> {
    const encoder = await codec.encoder(this.subject(), schema, { signal: this.signal })
    return values.map(value => encoder.encode(value))
  }

  async roundTrip(schema: AvroRecordSchema, values: readonly object[]): Promise<readonly object[]> {
    const bytes = await this.encoded(this.open(), schema, values)
    const decoded = await this.open().decode(bytes, { signal: this.signal })
    return decoded.map(({ value }) => value)
  }
}

export const ID_COLUMN: Column = { name: 'id', type: { kind: 'long' } }

export function change(after: Row | null, more: Partial<Change> = {}): WrittenChange {
  return { ...RECORD_SAMPLES.Change, before: null, after, unfit: null, wanted: null, ...more }
}
