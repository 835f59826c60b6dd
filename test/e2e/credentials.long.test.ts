import { credentialsSuite } from './credentials.ts'
import { distributedProfiles } from './profiles.ts'

distributedProfiles().forEach(credentialsSuite)
