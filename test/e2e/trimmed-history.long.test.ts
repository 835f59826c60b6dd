import { trimmedHistorySuite } from './trimmed-history.ts'
import { hasKafka, onKafka } from './kafka-adapters.ts'

trimmedHistorySuite('Kafka', onKafka, !hasKafka)
