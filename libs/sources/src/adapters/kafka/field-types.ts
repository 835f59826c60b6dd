/**
 * The types of a record's fields, as its schema tells them. Kafka Connect's schemas stand beside the values
 * in JSON, or are Avro with the attributes `connect.name` and `connect.parameters`. Both lead to the same
 * types.
 *
 * https://docs.confluent.io/platform/current/schema-registry/connect.html (Avro),
 * https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-data-types
 */

export type FieldKind =
  'boolean' | 'int' | 'long' | 'float' | 'double' | 'text' | 'bytes' | 'struct' | 'list' | 'map' | 'any'

export interface FieldType {
  readonly kind: FieldKind
  /** The semantic type, such as `io.debezium.time.Date`. Empty if there is none. */
  readonly name: string
  readonly parameters: { readonly [name: string]: string }
  /** The fields of a struct. */
  readonly fields: readonly Field[]
  /** The type of the elements of a list, or of the values of a map. */
  readonly of: FieldType | null
}

export interface Field {
  readonly name: string
  readonly type: FieldType
}

const PLAIN = { name: '', parameters: {}, fields: [], of: null } as const

/** A value without a schema. */
export const ANY: FieldType = { ...PLAIN, kind: 'any' }

const CONNECT_KINDS: { readonly [type: string]: FieldKind } = {
  ...{ boolean: 'boolean', int8: 'int', int16: 'int', int32: 'int', int64: 'long' },
  ...{ float: 'float', float32: 'float', double: 'double', float64: 'double' },
  ...{ string: 'text', bytes: 'bytes', struct: 'struct', array: 'list', map: 'map' },
}

/** Reads a schema as Connect's JsonConverter writes it beside a value. */
export function typeOfConnect(schema: unknown): FieldType {
  if (!isObject(schema)) return ANY
  const { type, name, parameters, fields, items, values } = schema
  const kind = CONNECT_KINDS[String(type)]
  if (kind === undefined) return ANY
  return {
    kind,
    name: typeof name === 'string' ? name : '',
    parameters: textsOf(parameters),
    fields: listOf(fields).map(each => ({ name: String(each['field']), type: typeOfConnect(each) })),
    of: kind === 'list' ? typeOfConnect(items) : kind === 'map' ? typeOfConnect(values) : null,
  }
}

const AVRO_KINDS: { readonly [type: string]: FieldKind } = {
  ...{ boolean: 'boolean', int: 'int', long: 'long', float: 'float', double: 'double' },
  ...{ string: 'text', enum: 'text', bytes: 'bytes', fixed: 'bytes' },
  ...{ record: 'struct', array: 'list', map: 'map' },
}

/** Logical types of Avro, by the names of Connect and Debezium for the same values. */
const LOGICAL_NAMES: { readonly [logicalType: string]: string } = {
  decimal: 'org.apache.kafka.connect.data.Decimal',
  date: 'org.apache.kafka.connect.data.Date',
  uuid: 'io.debezium.data.Uuid',
  'time-millis': 'org.apache.kafka.connect.data.Time',
  'time-micros': 'io.debezium.time.MicroTime',
  'timestamp-millis': 'sluice.timestamp.millis',
  'timestamp-micros': 'sluice.timestamp.micros',
  'local-timestamp-millis': 'io.debezium.time.Timestamp',
  'local-timestamp-micros': 'io.debezium.time.MicroTimestamp',
}

/** Reads a schema in Avro. A union of null and one type is that type. Other unions are values of any type. */
export function typeOfAvro(schema: unknown): FieldType {
  return new AvroTypes().of(schema)
}

class AvroTypes {
  /** The named types so far, by full name. A record may contain itself. */
  readonly #named = new Map<string, FieldType>()

  of(schema: unknown, namespace = ''): FieldType {
    if (Array.isArray(schema)) {
      const branches: readonly unknown[] = schema
      const [only, ...others] = branches.filter(branch => branch !== 'null')
      return others.length === 0 && only !== undefined ? this.of(only, namespace) : ANY
    }
    if (typeof schema === 'string') {
      const kind = AVRO_KINDS[schema]
      if (kind !== undefined) return { ...PLAIN, kind }
      return this.#named.get(schema) ?? this.#named.get(`${namespace}.${schema}`) ?? ANY
    }
    if (!isObject(schema)) return ANY
    return this.#ofObject(schema, namespace)
  }

  #ofObject(schema: Attributes, outer: string): FieldType {
    const { type } = schema
    if (typeof type !== 'string') return this.of(type, outer)
    const kind = AVRO_KINDS[type]
    if (kind === undefined) return this.of(type, outer)
    const own = typeof schema['name'] === 'string' ? schema['name'] : ''
    const namespace = typeof schema['namespace'] === 'string' ? schema['namespace'] : outer
    const full = own.includes('.') || namespace === '' ? own : `${namespace}.${own}`
    const fields: Field[] = []
    const logical = LOGICAL_NAMES[String(schema['logicalType'])] ?? ''
    const found: FieldType = {
      kind,
      name: nameOf(schema['connect.name'], logical, kind),
      parameters: {
        ...textsOf({ scale: schema['scale'], 'connect.decimal.precision': schema['precision'] }),
        ...textsOf(schema['connect.parameters']),
      },
      fields,
      of: kind === 'list' || kind === 'map' ? this.of(schema['items'] ?? schema['values'], namespace) : null,
    }
    if (own !== '') this.#named.set(full, found)
    const inner = full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : namespace
    for (const each of listOf(schema['fields']))
      fields.push({ name: String(each['name']), type: this.of(each['type'], inner) })
    return found
  }
}

/** A record of Connect has its own name in `connect.name`, which says nothing about its values. */
function nameOf(connect: unknown, logical: string, kind: FieldKind): string {
  if (typeof connect === 'string' && (kind !== 'struct' || /^io\.debezium\./.test(connect))) return connect
  return logical
}

interface Attributes {
  readonly [name: string]: unknown
}

export function isObject(value: unknown): value is Attributes {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf(value: unknown): readonly Attributes[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function textsOf(value: unknown): { readonly [name: string]: string } {
  if (!isObject(value)) return {}
  const known = Object.entries(value).filter(([, each]) => each !== undefined && each !== null)
  return Object.fromEntries(known.map(([name, each]) => [name, String(each)]))
}
