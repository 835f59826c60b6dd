/**
 * Makes a password each for Kafka and Redis, and the files in which each part wants them:
 * `node deploy/passwords.mjs FOLDER`. Passwords that are there are kept.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder = '.'] = process.argv.slice(2)
const [kafka, redis] = [0, 1].map(() => randomBytes(24).toString('base64url'))
const module = `org.apache.kafka.common.security.plain.PlainLoginModule required username="sluice" password="${kafka}"`
const client = prefix => `${prefix}security.protocol=SASL_PLAINTEXT
${prefix}sasl.mechanism=PLAIN
${prefix}sasl.jaas.config=${module};
`
const files = {
  kafka,
  'kafka-server.jaas': `KafkaServer { ${module} user_sluice="${kafka}"; };\n`,
  'kafka-client.properties': client(''),
  'registry.properties': client('apicurio.kafka.common.'),
  redis,
  'redis.conf': `requirepass ${redis}\n`,
  'redis-url': `redis://:${redis}@redis:6379`,
}
// The last one is there only if all are.
if (!existsSync(join(folder, 'redis-url')))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o644 })
