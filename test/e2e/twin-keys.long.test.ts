import { twinKeysSuite } from './twin-keys.ts'
import { distributedProfiles } from './profiles.ts'

for (const profile of distributedProfiles()) twinKeysSuite(profile)
