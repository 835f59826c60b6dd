import { embeddedProfile } from './embedded-profile.ts'
import { replaySuite } from './replay.ts'

replaySuite(embeddedProfile)
