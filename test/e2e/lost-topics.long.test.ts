import { hasKafka, onKafka } from './kafka-adapters.ts'
import { lostTopicsSuite } from './lost-topics.ts'

if (hasKafka)
  lostTopicsSuite({ name: 'Kafka', adapters: () => onKafka('lost'), lose: ['changes'], empty: ['requests'] })
