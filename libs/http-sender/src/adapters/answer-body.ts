/** Turns the bytes of an answer into text: decompressed, decoded, and never longer than a limit. */
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib'
import type { Transform } from 'node:stream'

interface Headers {
  readonly [name: string]: string
}

export interface RawBody {
  readonly chunks: readonly Buffer[]
  /** True if the answer went on after these chunks. */
  readonly cut: boolean
}

/** The kept part of an answer's body. `cut`: there was more, or the rest could not be decompressed. */
export interface KeptBody {
  readonly body: string
  readonly cut: boolean
}

/** True for a body that has to be decompressed. */
export function isPacked(headers: Headers): boolean {
  return contentEncodings(headers['content-encoding']).length > 0
}

/**
 * Returns the body as text, in the charset of the content type (UTF-8 if it names none, or an unknown one).
 * Invalid bytes become U+FFFD. An incomplete character at the end is left out.
 */
export function plainText({ chunks, cut }: RawBody, headers: Headers): KeptBody {
  return { body: decode(joined(chunks), headers['content-type'], cut), cut }
}

/**
 * Does the same for a packed body. Never rejects: if bytes do not decompress, the text before them is kept.
 */
export async function unpackedText(body: RawBody, headers: Headers, limitBytes: number): Promise<KeptBody> {
  const encodings = contentEncodings(headers['content-encoding'])
  const plain = await decompress(joined(body.chunks), encodings, limitBytes)
  const cut = body.cut || plain.cut
  return { body: decode(plain.bytes, headers['content-type'], cut), cut }
}

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
}

/** Returns the codings to undo. The last one that was applied comes first. */
function contentEncodings(header: string | undefined): readonly string[] {
  if (header === undefined) return []
  const names = header.split(',').map(name => name.trim().toLowerCase())
  return names.filter(name => name !== '' && name !== 'identity').reverse()
}

/** No honest server applies more codings on top of each other. */
const MAX_ENCODINGS = 3

async function decompress(
  bytes: Buffer,
  encodings: readonly string[],
  limitBytes: number,
): Promise<{ bytes: Buffer; cut: boolean }> {
  // If the coding is unknown, the bytes are not the body.
  let plain = { bytes, cut: encodings.length > MAX_ENCODINGS }
  for (const encoding of encodings.slice(0, MAX_ENCODINGS)) {
    const decoder = decoderOf(encoding, plain.bytes)
    if (decoder === undefined) return { ...plain, cut: true }
    const { bytes: decoded, cut } = await runDecoder(decoder, plain.bytes, limitBytes)
    plain = { bytes: decoded, cut: plain.cut || cut }
  }
  return plain
}

function decoderOf(encoding: string, bytes: Buffer): Transform | undefined {
  if (encoding === 'gzip' || encoding === 'x-gzip') return createGunzip()
  if (encoding === 'br') return createBrotliDecompress()
  if (encoding === 'zstd') return createZstdDecompress()
  // `deflate` means the zlib format, but some servers send the bare stream: the low four bits of zlib's first
  // byte are always 8.
  if (encoding === 'deflate') return ((bytes[0] ?? 8) & 0x0f) === 8 ? createInflate() : createInflateRaw()
  return undefined
}

/** Decompresses until the end, the first fault or the limit, whichever comes first. */
function runDecoder(
  decoder: Transform,
  bytes: Buffer,
  limitBytes: number,
): Promise<{ bytes: Buffer; cut: boolean }> {
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let length = 0
    const finish = (cut: boolean) => {
      decoder.destroy()
      resolve({ bytes: Buffer.concat(chunks).subarray(0, limitBytes), cut })
    }
    decoder.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > limitBytes) finish(true)
    })
    decoder.on('end', () => finish(false))
    decoder.on('error', () => finish(true))
    decoder.end(bytes)
  })
}

const CHARSET = /charset\s*=\s*"?([^";\s]+)/i

function decode(bytes: Buffer, contentType: string | undefined, cut: boolean): string {
  const charset = contentType === undefined ? undefined : CHARSET.exec(contentType)?.[1]
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    const decoder = decoderFor(charset)
    if (decoder !== undefined) return decoder.decode(bytes, { stream: false })
  }
  const whole = cut ? withoutCutCharacter(bytes) : bytes
  const text = whole.toString('utf8')
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

function decoderFor(charset: string): InstanceType<typeof TextDecoder> | undefined {
  try {
    return new TextDecoder(charset, { ignoreBOM: false })
  } catch {
    return undefined
  }
}

/** Drops the first bytes of a UTF-8 character whose rest is missing. */
function withoutCutCharacter(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? bytes.subarray(0, bytes.length - back) : bytes
  }
  return bytes
}
