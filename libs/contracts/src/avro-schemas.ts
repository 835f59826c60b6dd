/** A record schema in Avro's JSON form. */
export interface AvroRecordSchema {
  readonly type: 'record'
  readonly name: string
  readonly namespace?: string
  readonly fields: readonly object[]
}
