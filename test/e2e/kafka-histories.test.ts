import { kafkaHistoriesSuite } from './kafka-histories.ts'

kafkaHistoriesSuite(2)
