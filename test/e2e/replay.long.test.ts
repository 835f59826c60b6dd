import { distributedProfiles } from './profiles.ts'
import { replaySuite } from './replay.ts'

distributedProfiles().forEach(replaySuite)
