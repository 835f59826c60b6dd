import { breakerSuite } from './breaker.ts'
import { embeddedProfile } from './profiles.ts'

breakerSuite(embeddedProfile)
