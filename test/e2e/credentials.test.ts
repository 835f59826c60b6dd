import { credentialsSuite } from './credentials.ts'
import { embeddedProfile } from './profiles.ts'

credentialsSuite(embeddedProfile)
