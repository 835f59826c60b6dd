/**
 * avsc types for text and bytes. They are faster than avsc's own, and always write valid UTF-8. The parts
 * that all of Sluice's types share are here, too.
 */
import { JsonText } from '@sluice/contracts/values'
import { avscTypes, type AvscType, type Misfit, type NodeBuffer, type Tap } from './avsc.ts'

const { StringType, BytesType } = avscTypes

/** A value that a `_write` or `_read` refuses. Encoder and decoder turn it into an error with the place. */
export class DoesNotFit extends Error {}

const LABELS = new WeakMap<AvscType, string>()

/** Names the values of a type in the words of contracts/values.ts. */
export function labelOf(type: AvscType): string {
  return LABELS.get(type) ?? type.name ?? type.typeName
}

export function labelled(label: string, type: AvscType): AvscType {
  LABELS.set(type, label)
  return type
}

/**
 * Checks a value by writing it, which throws if it does not fit. This is called only on the way to an error,
 * so it may be slow.
 */
export function checkByWriting(type: AvscType, value: unknown, misfit: Misfit | undefined): boolean {
  try {
    type._write({ ...discarded }, value)
    return true
  } catch {
    misfit?.(value, type)
    return false
  }
}

const discarded = Object.assign(Object.create(null) as Tap, {
  buf: Buffer.alloc(0) as NodeBuffer,
  pos: 0,
  isValid: () => true,
  readLong: () => 0,
  writeLong: () => undefined,
  skipLong: () => undefined,
  readFixed: () => undefined,
  readFloat: () => 0,
  writeFloat: () => undefined,
})

/** Up to this many characters, a loop in JavaScript is faster than a call into V8. */
const MAX_LOOP_WRITE = 40
const MAX_LOOP_READ = 12

/** The length of a text in this range takes two bytes, as each character takes one to three bytes. */
const MIN_TWO_BYTE_LENGTH = 64
const MAX_TWO_BYTE_LENGTH = 8191 / 3

/** Text as UTF-8; lone surrogates become U+FFFD. */
class Text extends StringType {
  override _read(tap: Tap): string {
    return readText(tap)
  }

  override _write(tap: Tap, value: unknown): void {
    if (typeof value !== 'string') throw new DoesNotFit()
    writeText(tap, value)
  }
}
export const TEXT = labelled('text', new Text())

/** JSON as text; its values are `JsonText`s. */
class Json extends StringType {
  override _read(tap: Tap): JsonText {
    return new JsonText(readText(tap))
  }

  override _write(tap: Tap, value: unknown): void {
    if (!(value instanceof JsonText)) throw new DoesNotFit()
    writeText(tap, value.text)
  }

  override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
    return checkByWriting(this, value, misfit)
  }
}
export const JSON_TEXT = labelled('JSON (JsonText)', new Json())

export function readText(tap: Tap): string {
  const length = tap.readLong()
  const { buf, pos } = tap
  const end = pos + length
  tap.pos = end
  if (length < 0 || end > buf.length) {
    tap.pos = buf.length + 1
    return ''
  }
  if (length > MAX_LOOP_READ) return length > MAX_KNOWN ? buf.utf8Slice(pos, end) : knownText(buf, pos, end)
  for (let i = pos; i < end; i++) if ((buf[i] ?? 0) > 127) return buf.utf8Slice(pos, end)
  return shortAscii(buf, pos, end)
}

/** Reads at most `MAX_LOOP_READ` characters. A call for four of them makes one string, and not four. */
function shortAscii(buf: Buffer, start: number, end: number): string {
  let text = ''
  let at = start
  for (; end - at >= 4; at += 4)
    text += String.fromCharCode(buf[at] ?? 0, buf[at + 1] ?? 0, buf[at + 2] ?? 0, buf[at + 3] ?? 0)
  for (; at < end; at += 1) text += String.fromCharCode(buf[at] ?? 0)
  return text
}

/**
 * A text that many records have, such as the incarnation of a partition's records. One text is kept for each
 * length, so that its string need not be made again. Any other text of that length costs a comparison of its
 * first bytes.
 */
interface Known {
  readonly bytes: Uint8Array
  text: string
  /** Other texts of this length that were read since this one. */
  others: number
}
const MAX_KNOWN = 48
const KNOWN: readonly Known[] = Array.from({ length: MAX_KNOWN + 1 }, (_, length) => ({
  ...{ bytes: new Uint8Array(length), text: '', others: 0 },
}))
/** A text is replaced only after this many others, since keys differ in each record. */
const MAX_OTHERS = 64

function knownText(buf: NodeBuffer, start: number, end: number): string {
  const known = KNOWN[end - start]
  if (known === undefined) return buf.utf8Slice(start, end)
  const { bytes } = known
  let at = 0
  while (at < bytes.length && bytes[at] === buf[start + at]) at += 1
  if (at === bytes.length && known.text !== '') {
    known.others = 0
    return known.text
  }
  const text = buf.utf8Slice(start, end)
  known.others += 1
  if (known.text === '' || known.others > MAX_OTHERS) {
    bytes.set(buf.subarray(start, end))
    known.text = text
    known.others = 0
  }
  return text
}

export function writeText(tap: Tap, text: string): void {
  const { length } = text
  if (length <= MAX_LOOP_WRITE && writeShortAscii(tap, text)) return
  const { buf, pos } = tap
  if (length >= MIN_TWO_BYTE_LENGTH && length <= MAX_TWO_BYTE_LENGTH && pos + 2 + 3 * length <= buf.length) {
    const written = buf.utf8Write(text, pos + 2, 3 * length)
    buf[pos] = ((written << 1) & 0x7f) | 0x80
    buf[pos + 1] = written >> 6
    tap.pos = pos + 2 + written
    return
  }
  const bytes = Buffer.byteLength(text)
  tap.writeLong(bytes)
  if (tap.pos + bytes <= buf.length) buf.utf8Write(text, tap.pos, bytes)
  tap.pos += bytes
}

/** Writes the text if it is ASCII and there is room. Otherwise the tap does not move. */
function writeShortAscii(tap: Tap, text: string): boolean {
  const { length } = text
  const { buf, pos } = tap
  if (pos + 1 + length > buf.length) return false
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return false
    buf[pos + 1 + i] = code
  }
  buf[pos] = length << 1
  tap.pos = pos + 1 + length
  return true
}

/** Bytes. A value that was read is a copy. */
class Bytes extends BytesType {
  override _read(tap: Tap): Uint8Array | undefined {
    return readBytes(tap)
  }

  override _write(tap: Tap, value: unknown): void {
    if (!(value instanceof Uint8Array)) throw new DoesNotFit()
    writeBytes(tap, value)
  }

  override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
    return checkByWriting(this, value, misfit)
  }
}
export const BYTES = labelled('bytes (Uint8Array)', new Bytes())

export function readBytes(tap: Tap): Uint8Array | undefined {
  const length = tap.readLong()
  const { buf, pos } = tap
  tap.pos = pos + length
  if (length < 0 || tap.pos > buf.length) {
    tap.pos = buf.length + 1
    return undefined
  }
  const copy = new Uint8Array(length)
  copy.set(buf.subarray(pos, pos + length))
  return copy
}

export function writeBytes(tap: Tap, bytes: Uint8Array): void {
  tap.writeLong(bytes.length)
  if (tap.pos + bytes.length <= tap.buf.length) tap.buf.set(bytes, tap.pos)
  tap.pos += bytes.length
}
