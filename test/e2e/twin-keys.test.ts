import { embeddedProfile } from './embedded-profile.ts'
import { twinKeysSuite } from './twin-keys.ts'

twinKeysSuite(embeddedProfile)
