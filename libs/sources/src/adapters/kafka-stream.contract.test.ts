/** Topics of a real Kafka, read as they grow. */
import { describe, inject } from 'vitest'
import { streamContract } from '../../test/stream-contract.ts'
import { topicTable } from '../../test/stream-topics.ts'

const given = inject('kafkaBrokers')
const brokers = given ?? ''

/** A record of plain rows is a whole row, and says nothing else. */
const OF_ROWS = ['changeKey', 'writeLacking', 'repeat', 'truncated', 'snapshot', 'disconnect'] as const

describe.skipIf(given === null)('topics', () => {
  for (const partitions of [1, 3])
    streamContract(
      `a topic of rows with ${partitions} partitions`,
      () => ({
        make: () => topicTable(brokers, { format: 'rows', partitions }),
      }),
      { cannot: OF_ROWS },
    )
  streamContract(
    'a topic of Debezium',
    () => ({
      make: () => topicTable(brokers, { format: 'debezium', partitions: 2 }),
    }),
    { cannot: ['disconnect'] },
  )
  streamContract(
    'a topic behind row by row SQL',
    () => ({
      make: () =>
        topicTable(brokers, {
          format: 'rows',
          model: { sql: "select id, name, note from changes where name is null or name <> 'no such name'" },
        }),
    }),
    { cannot: OF_ROWS },
  )
})
