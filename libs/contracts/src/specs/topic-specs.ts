/** Topics of Kafka as sources, as users write them. */
import { z } from 'zod'
import { secretNames } from '../secret-references.ts'
import { filledText } from './plain-values.ts'

const MAX_BROKERS = 100
const MAX_TOPIC_LENGTH = 249
const BROKER_WANTED = 'a broker as host:port, such as kafka:9092'
const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
const SECRET_WANTED = 'a secret, as ${secret:NAME}, so that the password itself is stored nowhere'
const REGISTRY_WANTED = 'a URL such as http://registry:8081; a password in it stands as ${secret:NAME}'

/**
 * True for a URL of HTTP, whose password, if it has one, is a secret. Secrets stand nowhere else than in user
 * and password: host and path are shown in errors and in the reasons of rows, and a host is looked up by DNS.
 */
function isRegistryUrl(value: string): boolean {
  const [, login = '', rest] = /^https?:\/\/(?:([^/\\?#]*)@)?(.*)$/s.exec(value) ?? []
  if (rest === undefined || secretNames(rest).length > 0) return false
  const [user = ''] = /^(?:\$\{secret:[^}]*\}|[^:])*/.exec(login) ?? []
  const password = login.slice(user.length + 1)
  if (password !== '' && secretNames(password).length === 0) return false
  const url = URL.parse(value.replaceAll(/\$\{secret:[^}]*\}/g, 'secret'))
  return url !== null && url.search === '' && url.hash === ''
}

export const kafkaFields = {
  brokers: z
    .array(filledText.regex(/^(\[[^\]]+\]|[^:[\]\s/]+):\d{1,5}$/, BROKER_WANTED))
    .min(1, 'at least one broker, as host:port')
    .max(MAX_BROKERS, `at most ${MAX_BROKERS} brokers`)
    .describe('Some brokers as host:port. Kafka names the others.'),
  sasl: z
    .strictObject({
      mechanism: z.enum(MECHANISMS, { error: `one of ${MECHANISMS.join(', ')}` }),
      username: filledText.describe('May hold ${secret:NAME}.'),
      password: filledText
        .refine(value => secretNames(value).length > 0, SECRET_WANTED)
        .describe('As ${secret:NAME}.'),
    })
    .optional()
    .describe('The login at the brokers.'),
  registry: filledText
    .refine(isRegistryUrl, REGISTRY_WANTED)
    .optional()
    .describe('The schema registry, for records in Avro. A password in the URL stands as ${secret:NAME}.'),
}

export const topicFields = {
  topic: filledText
    .max(MAX_TOPIC_LENGTH, `at most ${MAX_TOPIC_LENGTH} characters`)
    .regex(/^[A-Za-z0-9._-]+$/, 'the name of a topic: letters, digits, dots, dashes and underscores')
    .optional()
    .describe('In place of sql or table: a topic of a source of type kafka, read as a table.'),
  format: z
    .enum(['debezium', 'rows'], { error: '`debezium` or `rows`' })
    .optional()
    .describe(
      'With topic. debezium: the changes that Debezium captured; rows: a value is the row, and a tombstone removes it.',
    ),
}
