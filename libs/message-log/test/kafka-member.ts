/**
 * A member of a group in a process of its own, which tests freeze and kill. Arguments: brokers, group, topic.
 * It prints one line of JSON for each assignment. For each line that it reads, it tries a commit and prints
 * the result.
 */
import { createInterface } from 'node:readline'
import { createKafkaLog } from '../src/adapters/kafka.ts'

const [brokers = '', group = '', topic = ''] = process.argv.slice(2)
const { signal } = new AbortController()
const print = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)

const log = createKafkaLog({ brokers: [brokers], clientId: 'member' })
const membership = await log.join(group, [topic], { signal })
createInterface({ input: process.stdin }).on('line', line => {
  const silentMs = Math.round(performance.now() - membership.lastHeartbeatMs)
  void membership
    .commit({ topic, partition: Number(line) }, 1, { signal })
    .then(committed => print({ committed, silentMs }))
})
for await (const { generation, partitions } of membership)
  print({ generation, partitions: partitions.map(({ partition }) => partition) })
