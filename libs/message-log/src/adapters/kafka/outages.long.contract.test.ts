/**
 * Tests the Kafka adapter while brokers and processes die, freeze and come back. It has a Kafka of its own,
 * which it can restart.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import { startServices, type LocalServices } from '../../../../../deploy/local/services.ts'
import type { MessageLog } from '../../port.ts'
import { codeOf, keyOf, keysIn, record, until, Watched } from '../../../test/fixture.ts'
import { createKafkaLog } from '../kafka.ts'

const available = inject('kafkaBrokers') !== null

describe.skipIf(!available)('kafka: outages', () => {
  let services: LocalServices
  let brokers: string
  let log: MessageLog
  let count = 0

  beforeAll(async () => {
    services = await startServices(['kafka'])
    brokers = services.get('kafka').address
    log = createKafkaLog({ brokers: [brokers], clientId: 'outages' })
  })

  afterAll(async () => {
    await log[Symbol.asyncDispose]()
    await services.stop()
  })

  async function topicOf(partitions: number, signal: AbortSignal): Promise<string> {
    const topic = `outages-${count++}`
    await log.ensureTopics([{ topic, partitions, cleanup: 'delete' }], { signal })
    return topic
  }

  for (const how of ['restart', 'kill'] as const) {
    test(
      `after a broker ends by ${how} and comes back, every reader and writer goes on from its place`,
      { timeout: 120_000 },
      async ({ signal }) => {
        const topic = await topicOf(2, signal)
        const target = { topic, partition: 0 }
        const changes = new Notifier()
        await using member = new Watched(await log.join(`${topic}-group`, [topic], { signal }), changes)
        await until(changes, { signal }, () => member.owned.length === 2)
        await using writer = await log.openWriter(`${topic}-writer`, { signal })
        await writer.append(target, [record('before')], { signal })
        const read: string[] = []
        const reading = (async () => {
          for await (const batch of log.read(target, { signal, from: 0 })) {
            read.push(...batch.records.map(keyOf))
            if (read.includes('last')) return
          }
        })()

        const kafka = services.get('kafka')
        const back = how === 'restart' ? kafka.restart() : kafka.kill().then(() => kafka.start())
        // The outage is shorter than the retry time of these calls. The writer sends the same batch again,
        // and Kafka stores it once.
        const appends = Array.from({ length: 20 }, (_, i) =>
          writer.append(target, [record(`during-${i}`)], { signal }),
        )
        await Promise.all([back, ...appends])
        await writer.append(target, [record('last')], { signal })
        await reading
        expect(read).toEqual(['before', ...Array.from({ length: 20 }, (_, i) => `during-${i}`), 'last'])
        expect(await keysIn(log, target, { signal })).toEqual(read)
        // An outage longer than the session ends the generation, and the coordinator gives a new place.
        const backMs = performance.now()
        await expect
          .poll(() => member.membership.lastHeartbeatMs, { timeout: 30_000 })
          .toBeGreaterThan(backMs)
        expect(await member.membership.commit(target, 1, { signal })).toBe(true)
        expect(member.owned).toHaveLength(2)
      },
    )
  }

  test(
    'a broker that stays away is unreachable after the retry time, and usable once it is back',
    { timeout: 120_000 },
    async ({ signal }) => {
      const topic = await topicOf(1, signal)
      const target = { topic, partition: 0 }
      await using impatient = createKafkaLog({ brokers: [brokers], clientId: 'impatient', retryMs: 1_000 })
      await using writer = await impatient.openWriter(`${topic}-writer`, { signal })
      await writer.append(target, [record('before')], { signal })
      const member = new Watched(await impatient.join(`${topic}-group`, [topic], { signal }))
      await services.get('kafka').kill()
      const since = performance.now()
      const outcomes = await Promise.all([
        codeOf(impatient.offsets(target, { signal })),
        codeOf(impatient.append(target, [record('lost')], { signal })),
        codeOf(impatient.openWriter('other', { signal })),
        codeOf(impatient.join('group', [topic], { signal })),
        codeOf(writer.append(target, [record('lost')], { signal })),
      ])
      expect(outcomes).toEqual(Array.from({ length: 5 }, () => 'unreachable'))
      expect(performance.now() - since).toBeLessThan(5_000)
      expect(writer.state).toBe('dead')
      expect(await member.ended).toMatchObject({ code: 'unreachable' })
      expect(await member.membership.commit(target, 1, { signal })).toBe(false)
      await services.get('kafka').start()
      expect((await impatient.offsets(target, { signal })).end).toBe(1)
    },
  )

  test(
    'a frozen member loses its partitions within ten seconds, and knows it when it wakes',
    { timeout: 120_000 },
    async ({ signal }) => {
      const topic = await topicOf(4, signal)
      const group = `${topic}-group`
      const script = fileURLToPath(new URL('../../../test/kafka-member.ts', import.meta.url))
      const child = spawn(process.execPath, [script, brokers, group, topic], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      try {
        const changes = new Notifier()
        let childOwns: number[] = []
        let generations = 0
        const commits: { committed: boolean; silentMs: number }[] = []
        createInterface({ input: child.stdout }).on('line', line => {
          const said = JSON.parse(line) as { partitions: number[] } | { committed: boolean; silentMs: number }
          if ('partitions' in said) {
            childOwns = said.partitions
            generations += 1
          } else commits.push(said)
          changes.notify()
        })
        await until(changes, { signal }, () => childOwns.length === 4)
        await using member = new Watched(await log.join(group, [topic], { signal }), changes)
        await until(changes, { signal }, () => childOwns.length === 2 && member.owned.length === 2)
        const kept = member.owned
        const [lost = 0] = childOwns

        const frozenAt = performance.now()
        child.kill('SIGSTOP')
        await until(changes, { signal }, () => member.owned.length === 4)
        expect(performance.now() - frozenAt).toBeLessThan(10_000)
        expect(member.owned).toEqual(expect.arrayContaining(kept))

        const before = generations
        child.stdin.write(`${lost}\n`)
        child.kill('SIGCONT')
        await until(changes, { signal }, () => commits.length === 1)
        // The commit may come before the news that the member has to join again. In both orders it must not
        // count for the lost partitions.
        expect(commits[0]?.committed).toBe(false)
        expect(commits[0]?.silentMs).toBeGreaterThan(5_000)
        await until(
          changes,
          { signal },
          () => generations > before && childOwns.length === 2 && member.owned.length === 2,
        )
        expect(new Set([...member.owned, ...childOwns.map(each => `${topic}/${each}`)]).size).toBe(4)
      } finally {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    },
  )
})
