/**
 * avsc with the types that are needed to extend its classes. Its own typings lack the methods that read and
 * write, which avsc's classes override, too. This fits avsc 5.7, whose version is pinned.
 */
import avro from 'avsc'

/** A buffer with methods that Node does not document and avsc uses. They need not look up the encoding. */
export interface NodeBuffer extends Buffer {
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, offset: number, length: number): number
}

/** A position in a buffer. Reading and writing beyond the end throws nothing, and makes `isValid` false. */
export interface Tap {
  buf: NodeBuffer
  pos: number
  isValid(): boolean
  readLong(): number
  writeLong(value: number): void
  skipLong(): void
  readFixed(length: number): Buffer | undefined
  readFloat(): number
  writeFloat(value: number): void
}

/** Called for each value that does not fit. The `path` of `_check` then leads to the value. */
export type Misfit = (value: unknown, type: AvscType) => void

/** The methods by which types call each other. `flags` are avsc's own, and are passed on. */
export interface AvscType {
  readonly name?: string
  readonly typeName: string
  _read(tap: Tap): unknown
  _write(tap: Tap, value: unknown): void
  _skip(tap: Tap): void
  _check(value: unknown, flags: number, misfit: Misfit | undefined, path?: string[]): boolean
  /** Returns a reader of values of the other type. Throws if this type cannot read them. */
  createResolver(writer: AvscType): object
  /** Returns the offset of the encoding's end. Without room, returns minus the number of missing bytes. */
  encode(value: unknown, buffer: Buffer, start: number): number
  /** Returns the value and the offset of its end, which is −1 if the buffer ends before the value. */
  decode(buffer: Buffer, start: number): { readonly value: unknown; readonly offset: number }
}

export interface UnionType extends AvscType {
  readonly types: readonly AvscType[]
}

export interface RecordType extends AvscType {
  readonly fields: readonly { readonly name: string; readonly type: AvscType }[]
  recordConstructor: object
  _createReader(): AvscType['_read']
  _createWriter(): AvscType['_write']
  _createChecker(): AvscType['_check']
}

export interface ListType extends AvscType {
  readonly itemsType: AvscType
}

export interface MapType extends AvscType {
  readonly valuesType: AvscType
}

export interface EnumType extends AvscType {
  readonly symbols: readonly string[]
}

type Constructor<T, A extends unknown[]> = new (...args: A) => T
type FromSchema<T> = Constructor<T, [schema: object, options: object]>

/**
 * avsc's classes, for `extends`. Instances freeze themselves, so subclasses keep data in closures, not in
 * fields.
 */
export const avscTypes = avro.types as unknown as {
  readonly StringType: Constructor<AvscType, []>
  readonly BytesType: Constructor<AvscType, []>
  readonly IntType: Constructor<AvscType, []>
  readonly LongType: Constructor<AvscType, []>
  readonly FloatType: Constructor<AvscType, []>
  readonly ArrayType: FromSchema<ListType>
  readonly MapType: FromSchema<MapType>
  readonly EnumType: FromSchema<EnumType>
  readonly RecordType: FromSchema<RecordType>
}

/** Makes a tap. avsc does not export the class, but gives a tap to each type that reads. */
function newTap(): Tap {
  const made: Tap[] = []
  class Catcher extends avscTypes.LongType {
    override _read(tap: Tap): number {
      made.push(tap)
      return 0
    }
  }
  new Catcher().decode(Buffer.alloc(0), 0)
  const [tap] = made
  if (tap === undefined) throw new Error('this version of avsc gives no tap to its types')
  return tap
}

/** Reads values one after another, as `AvscType.decode` does, with one tap for all of them. */
export class ValueReader {
  readonly #tap = newTap()
  /** The offset of the last value's end; −1 if the buffer ends before the value. */
  end = 0

  /** Reads a value. The result means nothing if `end` is −1. A type must not call this while it reads. */
  read(type: AvscType, bytes: Buffer, start: number): unknown {
    const tap = this.#tap
    tap.buf = bytes as NodeBuffer
    tap.pos = start
    const value = type._read(tap)
    this.end = tap.isValid() ? tap.pos : -1
    return value
  }
}

/** Returns the type of a part of a schema, or undefined if avsc is to make it. */
export type TypeHook = (schema: unknown, options: object) => AvscType | undefined

/** Makes the type of a schema. It asks `typeHook` for each part of the schema. */
export function typeForSchema(schema: object, typeHook: TypeHook): AvscType {
  const options = { wrapUnions: 'never', typeHook }
  return avro.Type.forSchema(schema as never, options as never) as unknown as AvscType
}
