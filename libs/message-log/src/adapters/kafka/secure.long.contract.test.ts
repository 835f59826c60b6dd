/**
 * TLS and passwords, with a Kafka of its own. That Kafka asks for both, and wants the password again every 12
 * seconds.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { startKafka, type SecureListener } from '../../../../../deploy/local/kafka.ts'
import { Workspace } from '../../../../../deploy/local/workspace.ts'
import { codeOf, follow, keyOf, keysIn, record } from '../../../test/fixture.ts'
import { createKafkaLog } from '../kafka.ts'

const available = inject('kafkaBrokers') !== null

describe.skipIf(!available)('kafka: TLS and SASL', () => {
  let workspace: Workspace
  let secure: SecureListener

  beforeAll(async () => {
    workspace = new Workspace()
    const kafka = await startKafka(workspace, { secure: true })
    if (kafka.secure === null) throw new Error('there is no secure listener')
    secure = kafka.secure
  })

  afterAll(async () => {
    await workspace.close({ keepLogs: false })
  })

  function open(options: { password?: string; ca?: string } = {}) {
    const { username, password, ca, address } = secure
    return createKafkaLog({
      brokers: [address],
      clientId: 'secure',
      ssl: { ca: options.ca ?? ca },
      sasl: { mechanism: 'plain', username, password: options.password ?? password },
      retryMs: 5_000,
    })
  }

  test(
    'everything works behind TLS and a password, and past the end of a session',
    { timeout: 60_000 },
    async ({ signal }) => {
      await using log = open()
      const target = { topic: 'secure', partition: 0 }
      await log.ensureTopics([{ topic: target.topic, partitions: 1, cleanup: 'delete' }], { signal })
      await using writer = await log.openWriter('secure-writer', { signal })
      await using membership = await log.join('secure-group', [target.topic], { signal })
      const reading = follow(log, target, { signal, count: 15 })
      const since = performance.now()
      for (let i = 0; i < 15; i += 1) {
        await writer.append(target, [record(`${i}`)], { signal })
        expect(await membership.commit(target, i, { signal })).toBe(true)
        // Sessions end both during and between requests. Only time can bring that about.
        await delay(1_000)
      }
      expect(performance.now() - since).toBeGreaterThan(13_000)
      expect((await reading).map(keyOf)).toEqual(Array.from({ length: 15 }, (_, i) => `${i}`))
      expect(await keysIn(log, target, { signal })).toHaveLength(15)
      expect(performance.now() - membership.lastHeartbeatMs).toBeLessThan(3_000)
    },
  )

  test('a wrong password is refused at once, and the message does not contain it', async ({ signal }) => {
    await using log = open({ password: 'wrong-password' })
    const since = performance.now()
    const refused = log.partitionsOf('secure', { signal })
    await expect(refused).rejects.toMatchObject({ code: 'config', retryable: false })
    await expect(refused).rejects.toThrow(/[Aa]uthentication/)
    await expect(refused).rejects.not.toThrow(/wrong-password/)
    expect(performance.now() - since).toBeLessThan(4_000)
  })

  test('a broker that wants a login, and gets none, is told of with the variables to set', async ({
    signal,
  }) => {
    const options = { brokers: [secure.address], clientId: 'secure', ssl: { ca: secure.ca } }
    await using log = createKafkaLog({ ...options, retryMs: 500, connectTimeoutMs: 2_000 })
    const refused = log.partitionsOf('secure', { signal })
    await expect(refused).rejects.toMatchObject({ code: 'unreachable' })
    await expect(refused).rejects.toThrow(/if this Kafka wants a login, set SLUICE_KAFKA_SASL_MECHANISM/)
  })

  test('a certificate that cannot be trusted is refused at once', async ({ signal }) => {
    await using log = createKafkaLog({
      brokers: [secure.address],
      clientId: 'secure',
      ssl: true,
      retryMs: 5_000,
    })
    const since = performance.now()
    const refused = log.partitionsOf('secure', { signal })
    await expect(refused).rejects.toMatchObject({ code: 'config', retryable: false })
    await expect(refused).rejects.toThrow(/certificate/)
    expect(performance.now() - since).toBeLessThan(4_000)
  })

  test('a connection without TLS to a port that wants TLS is unreachable', async ({ signal }) => {
    await using log = createKafkaLog({
      brokers: [secure.address],
      clientId: 'secure',
      retryMs: 500,
      connectTimeoutMs: 500,
    })
    expect(await codeOf(log.partitionsOf('secure', { signal }))).toBe('unreachable')
  })
})
