/**
 * avsc, typed for extending its types. Its typings leave out the methods that read and write; its own classes
 * override these in the same way. Known to fit avsc 5.7, whose version is pinned.
 */
import avro from 'avsc'

/**
 * A buffer with methods that Node has and avsc uses, but Node does not document. They skip looking up the
 * encoding.
 */
export interface NodeBuffer extends Buffer {
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, offset: number, length: number): number
}

/** A position in a buffer. Reading and writing beyond its end raises no error: `isValid` tells afterwards. */
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

/** Called for each value that does not fit. `path` says where that value is. */
export type Misfit = (value: unknown, type: AvscType) => void

/** The methods of a type that others of its kind call. `flags` is avsc's own and passed on. */
export interface AvscType {
  readonly name?: string
  readonly typeName: string
  _read(tap: Tap): unknown
  _write(tap: Tap, value: unknown): void
  _skip(tap: Tap): void
  _check(value: unknown, flags: number, misfit: Misfit | undefined, path?: string[]): boolean
  /** How to read values that were written as the other type. Throws if that is not possible. */
  createResolver(writer: AvscType): object
  /** Where the encoding ends in the buffer. If there is no room: minus the number of missing bytes. */
  encode(value: unknown, buffer: Buffer, start: number): number
  /**
   * The value from there, and where it ends. An `offset` of −1 says that the buffer ends before the value
   * does.
   */
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
 * avsc's classes, for `extends`. Instances freeze themselves, so that subclasses can have no fields. Their
 * data is in their closure.
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

/** avsc keeps the class of its taps for itself, and gives one to whoever reads. */
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

/** Reads values one after another, as `AvscType.decode` does, and makes no objects of its own for them. */
export class ValueReader {
  readonly #tap = newTap()
  /** Where the last value ends; −1 if the buffer ends before it does. */
  end = 0

  /** The value from there. It means nothing if `end` is −1. Reads no further value meanwhile. */
  read(type: AvscType, bytes: Buffer, start: number): unknown {
    const tap = this.#tap
    tap.buf = bytes as NodeBuffer
    tap.pos = start
    const value = type._read(tap)
    this.end = tap.isValid() ? tap.pos : -1
    return value
  }
}

/**
 * Makes types of schemas. It asks `typeHook` for each part of a schema, which may make that part's type
 * itself.
 */
export type TypeHook = (schema: unknown, options: object) => AvscType | undefined

export function typeForSchema(schema: object, typeHook: TypeHook): AvscType {
  const options = { wrapUnions: 'never', typeHook }
  return avro.Type.forSchema(schema as never, options as never) as unknown as AvscType
}
