import { SluiceError } from '@sluice/contracts/errors'
import { protocolErrorOf } from './internals.ts'

/** The connection is gone or was never made. The broker may or may not have carried out the request. */
export class ConnectionLost extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'ConnectionLost'
  }
}

/** The broker answered with an error; `type` is its name in Kafka's protocol. */
export class ProtocolError extends Error {
  readonly type: string

  constructor(type: string, message: string) {
    super(`${type}: ${message}`)
    this.name = 'ProtocolError'
    this.type = type
  }

  /** Makes the error of a code. If `said` is empty, the message is the text that kafkajs has for the code. */
  static ofCode(code: number, said = ''): ProtocolError {
    const { type, message } = protocolErrorOf(code)
    return new ProtocolError(type, said === '' ? message : said)
  }
}

/** The coordinator asks a new member to join again with `memberId`. */
export class MemberIdGiven extends Error {
  readonly memberId: string

  constructor(memberId: string) {
    super(`join again as ${memberId}`)
    this.name = 'MemberIdGiven'
    this.memberId = memberId
  }
}

/** Transient states of a cluster: the same request may succeed in a moment, perhaps at another broker. */
const TRANSIENT = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_CONTROLLER',
  'CONCURRENT_TRANSACTIONS',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

/** True for an error after which a retry may succeed without any change by a person. */
export function isTransient(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof ProtocolError && TRANSIENT.has(error.type))
}

/**
 * Translates an error of kafkajs into one of the classes above, and returns any other error unchanged. The
 * error classes of kafkajs have the protocol's name in `type`, and some wrap others.
 */
export function fromKafkajs(error: unknown): unknown {
  if (!(error instanceof Error) || !error.name.startsWith('KafkaJS')) return error
  if ('memberId' in error && typeof error.memberId === 'string') return new MemberIdGiven(error.memberId)
  if ('type' in error && typeof error.type === 'string') return new ProtocolError(error.type, error.message)
  const inner = firstInnerError(error)
  if (inner !== null) return fromKafkajs(inner)
  if (error.name === 'KafkaJSSASLAuthenticationError')
    return new ProtocolError('SASL_AUTHENTICATION_FAILED', error.message)
  // Node's codes for problems with a certificate. A retry would not help.
  if ('code' in error && /CERT|ERR_TLS|UNABLE_TO_(GET|VERIFY)/.test(String(error.code)))
    return new ProtocolError('TLS_FAILED', `the broker's certificate is refused: ${error.message}`)
  if (error.name.startsWith('KafkaJSConnection') || error.name.includes('Timeout'))
    return new ConnectionLost(error.message, { cause: error })
  return error
}

function firstInnerError(error: Error): unknown {
  if ('errors' in error && Array.isArray(error.errors)) return error.errors[0] ?? null
  if ('partitions' in error && Array.isArray(error.partitions)) {
    const first: unknown = error.partitions[0]
    if (typeof first === 'object' && first !== null && 'error' in first) return first.error
  }
  return null
}

/** Translates an error that ends a call into an error of the port. `subject` says what the call did. */
export function toSluiceError(error: unknown, subject: string): unknown {
  if (error instanceof ConnectionLost)
    return new SluiceError('unreachable', `${subject}: Kafka does not answer (${error.message})`, {
      cause: error,
      retryable: true,
    })
  if (!(error instanceof ProtocolError)) return error
  const options = { cause: error, retryable: isTransient(error) }
  switch (error.type) {
    case 'UNKNOWN_TOPIC_OR_PARTITION':
      return new SluiceError('not-found', `${subject}: there is no such topic or partition`, { cause: error })
    case 'OFFSET_OUT_OF_RANGE':
      return new SluiceError('offset-out-of-range', `${subject}: the offset is not in the log`, {
        cause: error,
      })
    case 'INVALID_PRODUCER_EPOCH':
    case 'PRODUCER_FENCED':
      return new SluiceError('fenced', `${subject}: a successor has taken over`, { cause: error })
    case 'OUT_OF_ORDER_SEQUENCE_NUMBER':
    case 'UNKNOWN_PRODUCER_ID':
      return new SluiceError(
        'writer-dead',
        `${subject}: an earlier record is missing (${error.message})`,
        options,
      )
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return new SluiceError('too-large', `${subject}: larger than the topic's max.message.bytes`, {
        cause: error,
      })
    case 'SASL_AUTHENTICATION_FAILED':
    case 'UNSUPPORTED_SASL_MECHANISM':
    case 'ILLEGAL_SASL_STATE':
      return new SluiceError('config', `${subject}: Kafka refuses the login (${error.message})`, {
        cause: error,
      })
    case 'TLS_FAILED':
      return new SluiceError('config', `${subject}: ${error.message}`, { cause: error })
    case 'TOPIC_AUTHORIZATION_FAILED':
    case 'GROUP_AUTHORIZATION_FAILED':
    case 'CLUSTER_AUTHORIZATION_FAILED':
    case 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED':
      return new SluiceError(
        'config',
        `${subject}: this user lacks a right that docs/OPERATIONS.md lists (${error.message})`,
        { cause: error },
      )
    case 'INVALID_TOPIC_EXCEPTION':
    case 'INVALID_CONFIG':
    case 'INVALID_REPLICATION_FACTOR':
    case 'POLICY_VIOLATION':
      return new SluiceError('config', `${subject}: Kafka refuses it (${error.message})`, { cause: error })
    default:
      return new SluiceError('unreachable', `${subject}: Kafka answered ${error.message}`, options)
  }
}
