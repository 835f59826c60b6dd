import { killedReplayOnKafkaSuite, killedReplaySuite } from './killed-replay.ts'

killedReplaySuite(5)
killedReplayOnKafkaSuite()
