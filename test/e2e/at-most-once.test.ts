import { atMostOnceSuite } from './at-most-once.ts'
import { embeddedProfile } from './profiles.ts'

atMostOnceSuite(embeddedProfile)
