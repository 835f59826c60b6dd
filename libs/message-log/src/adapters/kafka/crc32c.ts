/**
 * The checksum of Kafka's record batches: CRC-32 with Castagnoli's polynomial (RFC 3720, B.4), which
 * node:zlib does not offer.
 */
import { crc32c as checksumOf } from '@node-rs/crc32'

/** The checksum of the bytes from `start` up to `end`, as an unsigned number. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  return checksumOf(bytes.subarray(start, end))
}
