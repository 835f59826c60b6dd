import type { FramedCall } from './internals.ts'

const API_KEY = 0
const VERSION = 7

/** The broker's answer to one appended batch. An `errorCode` of 0 is success. */
export interface ProduceAnswer {
  readonly errorCode: number
  readonly baseOffset: number
}

/**
 * A Produce request with one batch for one partition, which all replicas have to acknowledge:
 * https://kafka.apache.org/protocol#The_Messages_Produce. Brokers have its version 7 since 2.1, and 4.x still
 * has it.
 */
export function produceCall(request: {
  topic: string
  partition: number
  batch: Buffer
  timeoutMs: number
}): FramedCall<ProduceAnswer> {
  return {
    apiKey: API_KEY,
    apiName: 'Produce',
    apiVersion: VERSION,
    parts: [headOf(request), request.batch],
    parse,
  }
}

function headOf(request: { topic: string; partition: number; batch: Buffer; timeoutMs: number }): Buffer {
  const topic = Buffer.from(request.topic)
  const head = Buffer.allocUnsafe(2 + 2 + 4 + 4 + 2 + topic.length + 4 + 4 + 4)
  let at = head.writeInt16BE(-1, 0) // no transactional id: the batch is a plain one
  at = head.writeInt16BE(-1, at) // acks from all replicas
  at = head.writeInt32BE(request.timeoutMs, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt16BE(topic.length, at)
  at += topic.copy(head, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt32BE(request.partition, at)
  head.writeInt32BE(request.batch.length, at)
  return head
}

function parse(answer: Buffer): { value: ProduceAnswer; throttleMs: number } {
  // The answer has one topic with one partition: count, name, count, partition. Then come error, base offset,
  // append time, low offset.
  const afterTopic = 4 + 2 + answer.readInt16BE(4)
  const at = afterTopic + 4 + 4
  return {
    value: { errorCode: answer.readInt16BE(at), baseOffset: Number(answer.readBigInt64BE(at + 2)) },
    throttleMs: answer.readInt32BE(at + 2 + 8 + 8 + 8),
  }
}
