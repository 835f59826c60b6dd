/**
 * Returns the partition of a key in a topic that all syncs share. (In a sync's own topics the partition of a
 * key is remembered, PROTOCOL.md §1.) Kafka's default partitioner chooses the same one, so any producer
 * (Kafka Connect, ksqlDB, Flink) does, too. The source is org.apache.kafka.common.utils.Utils.murmur2 and
 * BuiltInPartitioner.partitionForKey. `partitions` is at least 1.
 */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/** Returns MurmurHash2, 32 bits, as a signed integer, with Kafka's seed. */
export function murmur2(data: Uint8Array): number {
  const { length } = data
  const whole = length - (length % 4)
  let h = SEED ^ length
  for (let i = 0; i < whole; i += 4) {
    let k = byte(data, i) | (byte(data, i + 1) << 8) | (byte(data, i + 2) << 16) | (byte(data, i + 3) << 24)
    k = Math.imul(k, M)
    k ^= k >>> R
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const rest = length - whole
  if (rest > 2) h ^= byte(data, whole + 2) << 16
  if (rest > 1) h ^= byte(data, whole + 1) << 8
  if (rest > 0) h = Math.imul(h ^ byte(data, whole), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}

function byte(data: Uint8Array, index: number): number {
  return data[index] ?? 0
}
