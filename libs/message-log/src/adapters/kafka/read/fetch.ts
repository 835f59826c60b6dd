import { ConnectionLost } from '../errors.ts'
import { fetchRequest } from '../internals.ts'
import type { WireCall } from '../internals.ts'

export interface FetchPartition {
  readonly topic: string
  readonly partition: number
  readonly fetchOffset: number
  readonly maxBytes: number
}

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  /**
   * Batches, of which the last may be cut off. This is a view of the answer's buffer. A caller that keeps it
   * has to copy it.
   */
  readonly batches: Buffer
}

const READ_UNCOMMITTED = 0

/**
 * A Fetch request (version 11, https://kafka.apache.org/protocol#The_Messages_Fetch). The broker serves the
 * partitions in the given order. Only the first partition that has records may give a batch larger than its
 * limit. The decoder is our own. The one of kafkajs fails the whole answer for one partition's error, and
 * decodes all records at once.
 */
export function fetchCall(request: {
  partitions: readonly FetchPartition[]
  maxWaitMs: number
  maxBytes: number
}): WireCall<FetchedPartition[]> {
  const topics = request.partitions.map(({ topic, partition, fetchOffset, maxBytes }) => ({
    topic,
    partitions: [{ partition, fetchOffset: String(fetchOffset), maxBytes }],
  }))
  return {
    request: fetchRequest({
      replicaId: -1,
      maxWaitTime: request.maxWaitMs,
      minBytes: 1,
      maxBytes: request.maxBytes,
      // Sluice writes no transactions, so the last stable offset is the high watermark.
      isolationLevel: READ_UNCOMMITTED,
      topics,
    }),
    response: {
      decode: raw => Promise.resolve(decodeWithin(raw)),
      parse: decoded => Promise.resolve((decoded as { partitions: FetchedPartition[] }).partitions),
    },
  }
}

/** An answer that ends before it should is as good as none, and the connection cannot be trusted. */
function decodeWithin(raw: Buffer): ReturnType<typeof decode> {
  try {
    return decode(raw)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new ConnectionLost('the broker has sent an answer that is cut off', { cause })
  }
}

function decode(raw: Buffer): { partitions: FetchedPartition[]; clientSideThrottleTime: number } {
  const partitions: FetchedPartition[] = []
  const clientSideThrottleTime = raw.readInt32BE(0)
  let at = 4 + 2 + 4 // throttle time, error (of fetch sessions, which are not used), session
  const topicCount = raw.readInt32BE(at)
  at += 4
  for (let topicsLeft = topicCount; topicsLeft > 0; topicsLeft -= 1) {
    const nameLength = raw.readInt16BE(at)
    const topic = raw.toString('utf8', at + 2, at + 2 + nameLength)
    at += 2 + Math.max(nameLength, 0)
    const partitionCount = raw.readInt32BE(at)
    at += 4
    for (let left = partitionCount; left > 0; left -= 1) {
      const partition = raw.readInt32BE(at)
      const errorCode = raw.readInt16BE(at + 4)
      const highWatermark = Number(raw.readBigInt64BE(at + 6))
      const aborted = raw.readInt32BE(at + 30)
      at += 34 + Math.max(aborted, 0) * 16
      const bytes = Math.max(raw.readInt32BE(at + 4), 0)
      at += 8
      partitions.push({ topic, partition, errorCode, highWatermark, batches: raw.subarray(at, at + bytes) })
      at += bytes
    }
  }
  return { partitions, clientSideThrottleTime }
}
