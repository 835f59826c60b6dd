import { goneKeysSuite } from './gone-keys.ts'
import { hasKafka, onKafka } from './kafka-adapters.ts'

goneKeysSuite('Kafka', onKafka, !hasKafka)
