import { atMostOnceSuite } from './at-most-once.ts'
import { embeddedProfile } from './embedded-profile.ts'

atMostOnceSuite(embeddedProfile)
