import { killedReplayOnKafkaSuite, killedReplaySuite } from './killed-replay.ts'

killedReplaySuite(3)
killedReplayOnKafkaSuite()
