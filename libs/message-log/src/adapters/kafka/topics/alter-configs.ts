import { ProtocolError } from '../errors.ts'
import type { WireCall } from '../internals.ts'

const API_KEY = 44
const VERSION = 0
const TOPIC = 2
const SET = 0

/**
 * An IncrementalAlterConfigs request that sets some settings of one topic and leaves all others:
 * https://kafka.apache.org/protocol. Brokers have its version 0 since 2.3, and 4.x still has it. kafkajs
 * knows only the older request, which would unset all settings that it does not name.
 */
export function alterConfigsCall(of: {
  readonly topic: string
  readonly settings: { readonly [name: string]: string }
}): WireCall<null> {
  const encoded = encode(of)
  return {
    request: {
      apiKey: API_KEY,
      apiName: 'IncrementalAlterConfigs',
      apiVersion: VERSION,
      // kafkajs expects this shape of an encoder.
      encode: () => Promise.resolve({ buf: encoded, buffer: encoded }),
    },
    response: {
      decode: raw => Promise.resolve(decode(raw)),
      parse: decoded => Promise.resolve(accepted(decoded as Answer)),
    },
  }
}

interface Answer {
  readonly errorCode: number
  readonly message: string
}

function encode(of: { topic: string; settings: { readonly [name: string]: string } }): Buffer {
  const settings = Object.entries(of.settings)
  return Buffer.concat([
    int32(1),
    Buffer.from([TOPIC]),
    text(of.topic),
    int32(settings.length),
    ...settings.flatMap(([name, value]) => [text(name), Buffer.from([SET]), text(value)]),
    Buffer.from([0]), // apply the settings, do not only validate them
  ])
}

function decode(raw: Buffer): Answer {
  // The answer has the throttle time, then the requested topic: its error, and the broker's message.
  const at = 4 + 4
  const length = raw.readInt16BE(at + 2)
  return {
    errorCode: raw.readInt16BE(at),
    message: length < 0 ? '' : raw.toString('utf8', at + 4, at + 4 + length),
  }
}

function accepted({ errorCode, message }: Answer): null {
  if (errorCode === 0) return null
  const { type, message: meaning } = ProtocolError.ofCode(errorCode)
  throw new ProtocolError(type, message === '' ? meaning : message)
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.allocUnsafe(2)
  length.writeInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}
